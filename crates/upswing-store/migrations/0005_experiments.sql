-- A comparison of versions on live traffic. The plan is JSON; what changes stands in columns and tables of its own.
CREATE TABLE experiment (
    organisation {uuid} NOT NULL,
    id {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    name {text} NOT NULL,
    description {text} NOT NULL,
    hypothesis {text} NOT NULL,
    status {text} NOT NULL,
    plan {text} NOT NULL,
    created_at {i64} NOT NULL,
    started_at {i64},
    stopped_at {i64},
    PRIMARY KEY (organisation, id)
){rowid};
CREATE INDEX experiment_agent ON experiment (agent, organisation, status);

-- One row a split: whose each bucket is from a moment on.
CREATE TABLE experiment_allocation (
    organisation {uuid} NOT NULL,
    experiment {uuid} NOT NULL,
    epoch {i64} NOT NULL,
    effective_at {i64} NOT NULL,
    split {text} NOT NULL,
    PRIMARY KEY (organisation, experiment, epoch)
){rowid};

-- What each unit did, as it happens.
CREATE TABLE experiment_unit (
    organisation {uuid} NOT NULL,
    experiment {uuid} NOT NULL,
    unit {bytes} NOT NULL,
    state {bytes} NOT NULL,
    -- When the next of its outcomes closes; NULL where none waits for a moment.
    closes_at {i64},
    PRIMARY KEY (organisation, experiment, unit)
){clustered};
CREATE INDEX experiment_unit_due ON experiment_unit (experiment, organisation, closes_at) WHERE closes_at IS NOT NULL;

-- What all units did together: sums, e-processes, sketches.
CREATE TABLE experiment_tally (
    organisation {uuid} NOT NULL,
    experiment {uuid} NOT NULL,
    state {bytes} NOT NULL,
    saved_at {i64} NOT NULL,
    PRIMARY KEY (organisation, experiment)
){rowid};

-- What was known at each time.
CREATE TABLE experiment_look (
    organisation {uuid} NOT NULL,
    experiment {uuid} NOT NULL,
    at {i64} NOT NULL,
    results {text} NOT NULL,
    PRIMARY KEY (organisation, experiment, at)
){rowid};

-- Which experiment assigned a decision: the epoch of its split, the arm (NULL: kept out), and whom, by a keyed hash.
ALTER TABLE decision ADD COLUMN experiment {uuid};
ALTER TABLE decision ADD COLUMN allocation {i64};
ALTER TABLE decision ADD COLUMN arm {i64};
ALTER TABLE decision ADD COLUMN assigned {bytes};
-- Partial, so that decisions outside of experiments pay nothing.
CREATE INDEX decision_experiment ON decision (agent, organisation, position) WHERE experiment IS NOT NULL;

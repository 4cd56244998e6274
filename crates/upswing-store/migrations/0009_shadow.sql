-- Whether a rollout's version is executed beside what is served, before it serves anybody (NULL: no).
ALTER TABLE rollout ADD COLUMN shadow {bool};

-- What a rollout's version did beside a decision. Apart from the executions, so that nothing that reads those counts it, and
-- without texts: of what came out there is the keyed hash, by which one sees whether it was the same.
CREATE TABLE shadow_execution (
    organisation {uuid} NOT NULL,
    rollout {uuid} NOT NULL,
    decision {uuid} NOT NULL,
    position {i64} NOT NULL,
    agent {uuid} NOT NULL,
    version {bytes} NOT NULL,
    metrics {text},
    error {text},
    output {bytes},
    occurred_at {i64} NOT NULL,
    received_at {i64} NOT NULL,
    fingerprint {bytes} NOT NULL,
    -- The execution it was compared with; NULL until that has come.
    compared_with {uuid},
    PRIMARY KEY (organisation, rollout, decision)
){clustered};
CREATE INDEX shadow_execution_position ON shadow_execution (rollout, organisation, position);

-- What all pairs of a rollout's shadow did together, and how far events have been read for it.
CREATE TABLE shadow_tally (
    organisation {uuid} NOT NULL,
    rollout {uuid} NOT NULL,
    position {i64} NOT NULL,
    -- Counts what was saved: whoever saves says what it has read.
    revision {i64} NOT NULL,
    state {bytes},
    saved_at {i64} NOT NULL,
    PRIMARY KEY (organisation, rollout)
){rowid};

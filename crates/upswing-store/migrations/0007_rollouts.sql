-- A version on its way from 0 to 100 % of the traffic, or back. What its units do is counted as an experiment's of the same id.
CREATE TABLE rollout (
    organisation {uuid} NOT NULL,
    id {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    version {bytes} NOT NULL,
    previous {bytes} NOT NULL,
    state {text} NOT NULL,
    step {i64} NOT NULL,
    step_since {i64} NOT NULL,
    plan {text} NOT NULL,
    reason {text} NOT NULL,
    created_at {i64} NOT NULL,
    deadline {i64} NOT NULL,
    -- Counts transitions: whoever makes one says which it has seen.
    revision {i64} NOT NULL,
    PRIMARY KEY (organisation, id)
){rowid};
CREATE INDEX rollout_agent ON rollout (agent, organisation, state);

-- What became of a rollout, when, why, on which evidence, and by whom (NULL: by rule).
CREATE TABLE rollout_transition (
    organisation {uuid} NOT NULL,
    rollout {uuid} NOT NULL,
    revision {i64} NOT NULL,
    at {i64} NOT NULL,
    kind {text} NOT NULL,
    state {text} NOT NULL,
    step {i64} NOT NULL,
    why {text} NOT NULL,
    evidence {text} NOT NULL,
    api_key {uuid},
    PRIMARY KEY (organisation, rollout, revision)
){rowid};

-- What a server serves that cannot confirm what is to be served.
ALTER TABLE agent ADD COLUMN safe_version {bytes};

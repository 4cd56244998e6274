-- What a piece of feedback says in a shape of its own, and whether it teaches (NULL: it counts).
ALTER TABLE feedback ADD COLUMN details_kind {text};
ALTER TABLE feedback ADD COLUMN details {bytes};
ALTER TABLE feedback ADD COLUMN standing {text};
-- What stream windows read, in order.
CREATE INDEX feedback_implicit ON feedback (agent, organisation, position) WHERE feedback_type = 'implicit';

-- A product's own record of a run.
ALTER TABLE execution ADD COLUMN record_kind {text};
ALTER TABLE execution ADD COLUMN record {bytes};

-- What a person agreed to, and took back: one row a change.
CREATE TABLE consent (
    organisation {uuid} NOT NULL,
    subject {bytes} NOT NULL,
    purpose {text} NOT NULL,
    version {i64} NOT NULL,
    granted {bool} NOT NULL,
    policy {text} NOT NULL,
    recorded_at {i64} NOT NULL,
    PRIMARY KEY (organisation, subject, purpose, version)
){clustered};

-- How much an author has said about an agent within a period.
CREATE TABLE author_total (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    author {bytes} NOT NULL,
    period {i64} NOT NULL,
    counted {i64} NOT NULL,
    received {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, author, period)
){clustered};

-- Groups of texts that are nearly the same, under each of the keys by which a copy may be found. How many copies there
-- are stands under the key of the group itself.
CREATE TABLE text_group (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    period {i64} NOT NULL,
    band {i64} NOT NULL,
    -- Of the group's first text.
    fingerprint {bytes} NOT NULL,
    copies {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, period, band, fingerprint)
){clustered};

-- What is known of a person from what they did, per agent.
CREATE TABLE profile (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    subject {bytes} NOT NULL,
    -- The position of the last signal in it: followers read what lies after theirs.
    position {i64} NOT NULL,
    body {text} NOT NULL,
    updated_at {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, subject)
){clustered};
CREATE INDEX profile_position ON profile (organisation, position);

-- Windows over implicit feedback: what was read, stage by stage, and what became of it.
CREATE TABLE stream_window (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    ordinal {i64} NOT NULL,
    from_position {i64} NOT NULL,
    to_position {i64} NOT NULL,
    signals {i64} NOT NULL,
    status {text} NOT NULL,
    stages {text} NOT NULL,
    attempts {i64} NOT NULL,
    next_attempt_at {i64},
    error {text},
    updated_at {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, ordinal)
){clustered};

-- Signals that wait for batch training.
CREATE TABLE training_signal (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    position {i64} NOT NULL,
    feedback {uuid} NOT NULL,
    strength {f64} NOT NULL,
    ordinal {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, position)
){clustered};

-- Type tokens: {uuid} {i64} {f64} {bool} {bytes} {text}; {rowid} and {clustered} end a table; {postgres} begins a line for it alone.
-- Times are microseconds since the epoch. JSON is text, so that what is read is what was written.
-- Every table with an `organisation` gets forced row security on PostgreSQL, found in the catalogue after migrating.

CREATE TABLE organisation (
    id {uuid} NOT NULL PRIMARY KEY,
    name {text} NOT NULL,
    created_at {i64} NOT NULL,
    -- Counts changes to keys, agents and versions: followers reload when it moves.
    revision {i64} NOT NULL
){rowid};

-- The key ids that made what is stored here, to notice another master key.
CREATE TABLE master_key (
    id {i64} NOT NULL PRIMARY KEY,
    key_check {bytes} NOT NULL
){rowid};

CREATE TABLE lease (
    name {text} NOT NULL PRIMARY KEY,
    holder {text} NOT NULL,
    -- Grows with every change of holder: a write that carries an older one is refused.
    fence {i64} NOT NULL,
    expires_at {i64} NOT NULL
){rowid};

-- The commit-ordered sequence of an organisation's events.
CREATE TABLE stream_head (
    organisation {uuid} NOT NULL PRIMARY KEY,
    position {i64} NOT NULL
){rowid};

CREATE TABLE api_key (
    organisation {uuid} NOT NULL,
    id {uuid} NOT NULL,
    name {text} NOT NULL,
    role {text} NOT NULL,
    hash {bytes} NOT NULL,
    hint {text} NOT NULL,
    origins {text} NOT NULL,
    created_at {i64} NOT NULL,
    expires_at {i64},
    revoked_at {i64},
    PRIMARY KEY (organisation, id)
){rowid};
CREATE UNIQUE INDEX api_key_hash ON api_key (hash);

CREATE TABLE audit_entry (
    organisation {uuid} NOT NULL,
    sequence {i64} NOT NULL,
    at {i64} NOT NULL,
    api_key {uuid},
    action {text} NOT NULL,
    subject {text} NOT NULL,
    details {text} NOT NULL,
    request {text},
    PRIMARY KEY (organisation, sequence)
){rowid};

CREATE TABLE agent (
    organisation {uuid} NOT NULL,
    id {uuid} NOT NULL,
    name {text} NOT NULL,
    description {text} NOT NULL,
    salt {text} NOT NULL,
    segments {text} NOT NULL,
    output_schema {text},
    policy {text} NOT NULL,
    champion {bytes},
    definition_version {i64} NOT NULL,
    epoch {i64} NOT NULL,
    created_at {i64} NOT NULL,
    PRIMARY KEY (organisation, id)
){rowid};
CREATE UNIQUE INDEX agent_name ON agent (organisation, name) WHERE name <> '';

CREATE TABLE reward_definition (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    version {i64} NOT NULL,
    body {text} NOT NULL,
    created_at {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, version)
){rowid};

-- Outcomes that still stand under an older reward definition lie after the cursor.
CREATE TABLE refold (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    cursor {uuid} NOT NULL,
    PRIMARY KEY (organisation, agent)
){rowid};

CREATE TABLE version (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    id {bytes} NOT NULL,
    ordinal {i64} NOT NULL,
    label {text} NOT NULL,
    config {text} NOT NULL,
    parents {text} NOT NULL,
    eligible {bool} NOT NULL,
    created_at {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, id)
){rowid};
CREATE UNIQUE INDEX version_label ON version (organisation, agent, label);

-- One row an epoch: what an agent serves from then on, and why.
CREATE TABLE deployment (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    epoch {i64} NOT NULL,
    kind {text} NOT NULL,
    version {bytes},
    champion {bytes},
    eligible {text} NOT NULL,
    policy {text} NOT NULL,
    reason {text} NOT NULL,
    api_key {uuid},
    at {i64} NOT NULL,
    position {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, epoch)
){rowid};

CREATE TABLE decision (
    organisation {uuid} NOT NULL,
    id {uuid} NOT NULL,
    position {i64} NOT NULL,
    schema_version {i64} NOT NULL,
    agent {uuid} NOT NULL,
    version {bytes} NOT NULL,
    unit {bytes},
    context {text},
    reason {text} NOT NULL,
    origin {text} NOT NULL,
    propensity {f64} NOT NULL,
    -- One 64-bit float (big endian) for each eligible version of the epoch.
    probabilities {bytes} NOT NULL,
    epoch {i64} NOT NULL,
    policy_revision {i64} NOT NULL,
    decided_at {i64} NOT NULL,
    PRIMARY KEY (organisation, id)
){clustered};

-- What people and models wrote, by keyed hash, apart from the facts.
CREATE TABLE content (
    organisation {uuid} NOT NULL,
    id {bytes} NOT NULL,
    body {text} NOT NULL,
    created_at {i64} NOT NULL,
    PRIMARY KEY (organisation, id)
){rowid};

CREATE TABLE execution (
    organisation {uuid} NOT NULL,
    id {uuid} NOT NULL,
    position {i64} NOT NULL,
    schema_version {i64} NOT NULL,
    agent {uuid} NOT NULL,
    decision {uuid},
    version {bytes},
    unit {bytes},
    subject {bytes},
    session {text},
    trace {text},
    parent {uuid},
    step {i64},
    context {text},
    input {bytes},
    output {bytes},
    metrics {text},
    error {text},
    origin {text} NOT NULL,
    occurred_at {i64} NOT NULL,
    received_at {i64} NOT NULL,
    fingerprint {bytes} NOT NULL,
    PRIMARY KEY (organisation, id)
){clustered};
-- Partial, so that a look-up by id cannot use it: while a table is new, a planner without statistics takes any index
-- for as good as the primary key, and keeps that plan when the table has grown. Who pages by position says
-- `position > 0` as well.
CREATE INDEX execution_position ON execution (agent, organisation, position) WHERE position > 0;

CREATE TABLE feedback (
    organisation {uuid} NOT NULL,
    id {uuid} NOT NULL,
    position {i64} NOT NULL,
    schema_version {i64} NOT NULL,
    agent {uuid} NOT NULL,
    -- What it is about: an execution, a session or a unit.
    execution {uuid},
    session {text},
    unit {bytes},
    feedback_type {text} NOT NULL,
    source {text} NOT NULL,
    author {bytes},
    rating {i64},
    dimensions {text},
    issue_categories {text},
    metrics {text},
    comment {bytes},
    correction {bytes},
    via_token {bool} NOT NULL,
    occurred_at {i64} NOT NULL,
    received_at {i64} NOT NULL,
    fingerprint {bytes} NOT NULL,
    PRIMARY KEY (organisation, id)
){clustered};
CREATE INDEX feedback_execution ON feedback (execution, organisation) WHERE execution IS NOT NULL;
CREATE INDEX feedback_position ON feedback (agent, organisation, position) WHERE position > 0;

-- Executions with feedback that wait for a decision or an execution that has not arrived.
CREATE TABLE awaiting (
    organisation {uuid} NOT NULL,
    awaited {uuid} NOT NULL,
    execution {uuid} NOT NULL,
    PRIMARY KEY (organisation, awaited, execution)
){clustered};

-- What is known of an execution now.
CREATE TABLE outcome (
    organisation {uuid} NOT NULL,
    execution {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    reward {i64},
    definition_version {i64} NOT NULL,
    -- The first entry of the ledger for this execution.
    first_position {i64},
    token_uses {i64} NOT NULL,
    PRIMARY KEY (organisation, execution)
){clustered};

-- Every change of every reward, in order: what learners and rollups fold.
CREATE TABLE reward_ledger (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    position {i64} NOT NULL,
    first_position {i64} NOT NULL,
    execution {uuid} NOT NULL,
    decision {uuid},
    version {bytes} NOT NULL,
    definition_version {i64} NOT NULL,
    old_reward {i64},
    new_reward {i64},
    cause {uuid},
    -- Where the context stands: 0 nowhere, 1 with the decision, 2 with the execution.
    context_source {i64} NOT NULL,
    propensity {f64} NOT NULL,
    origin {text} NOT NULL,
    occurred_at {i64} NOT NULL,
    recorded_at {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, position)
){clustered};
CREATE INDEX reward_ledger_execution ON reward_ledger (execution, organisation);

-- Up to where an agent has something new.
CREATE TABLE agent_head (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    position {i64} NOT NULL,
    PRIMARY KEY (organisation, agent)
){clustered};

CREATE TABLE checkpoint (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    follower {text} NOT NULL,
    position {i64} NOT NULL,
    revision {i64} NOT NULL,
    state {bytes} NOT NULL,
    made_with {text} NOT NULL,
    saved_at {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, follower)
){rowid};

CREATE TABLE lineage (
    organisation {uuid} NOT NULL,
    derived_kind {text} NOT NULL,
    derived_id {text} NOT NULL,
    source_kind {text} NOT NULL,
    source_id {text} NOT NULL,
    from_position {i64},
    to_position {i64},
    made_with {text} NOT NULL,
    at {i64} NOT NULL,
    PRIMARY KEY (organisation, derived_kind, derived_id, source_kind, source_id)
){rowid};

-- The values of an agent's segment keys that are counted apart.
CREATE TABLE segment_value (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    segment_key {text} NOT NULL,
    segment_value {text} NOT NULL,
    PRIMARY KEY (organisation, agent, segment_key, segment_value)
){clustered};

CREATE TABLE rollup (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    version {bytes} NOT NULL,
    segment_key {text} NOT NULL,
    segment_value {text} NOT NULL,
    metric {text} NOT NULL,
    hour {i64} NOT NULL,
    count {i64} NOT NULL,
    -- Millionths, exact.
    sum {i64} NOT NULL,
    -- Squares of millionths, exact, as a decimal number.
    sum_squares {text} NOT NULL,
    sketch {bytes} NOT NULL,
    PRIMARY KEY (organisation, agent, version, segment_key, segment_value, metric, hour)
){clustered};
CREATE INDEX rollup_hour ON rollup (agent, organisation, hour);

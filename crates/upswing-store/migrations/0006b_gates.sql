-- What versions are tried on before they meet traffic: one canonical JSON object a line, named by its content.
CREATE TABLE gate_dataset (
    organisation {uuid} NOT NULL,
    id {bytes} NOT NULL,
    name {text} NOT NULL,
    cases {i64} NOT NULL,
    body {text} NOT NULL,
    created_at {i64} NOT NULL,
    PRIMARY KEY (organisation, id)
){rowid};

-- An agent's gates, and what runs a version of it. JSON.
CREATE TABLE gate_setting (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    kind {text} NOT NULL,
    body {text} NOT NULL,
    changed_at {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, kind)
){rowid};

-- What gates found of a version, numbered from 1.
CREATE TABLE gate_result (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    version {bytes} NOT NULL,
    number {i64} NOT NULL,
    gate {text} NOT NULL,
    outcome {text} NOT NULL,
    why {text} NOT NULL,
    details {text} NOT NULL,
    -- A hash of the settings that it was found under: under others it says nothing.
    settings {bytes} NOT NULL,
    at {i64} NOT NULL,
    api_key {uuid},
    PRIMARY KEY (organisation, agent, version, number)
){rowid};

-- Who approved a version.
CREATE TABLE gate_approval (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    version {bytes} NOT NULL,
    api_key {uuid} NOT NULL,
    role {text} NOT NULL,
    reason {text} NOT NULL,
    at {i64} NOT NULL,
    PRIMARY KEY (organisation, agent, version, api_key)
){rowid};

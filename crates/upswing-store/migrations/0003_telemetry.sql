-- Spans of OpenTelemetry, without what identifies people: kept until some time after their trace was assembled, so that
-- what comes late finds them.
CREATE TABLE span (
    organisation {uuid} NOT NULL,
    trace {text} NOT NULL,
    span {text} NOT NULL,
    -- The agent that the request named for spans that name none themselves.
    agent {uuid},
    ended_at {i64} NOT NULL,
    -- Of the body. Of two that differ under one id the later end holds, then the greater digest: not the order of arrival.
    digest {bytes} NOT NULL,
    received_at {i64} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (organisation, trace, span)
){rowid};

-- Content that came as log records, apart from its span.
CREATE TABLE span_content (
    organisation {uuid} NOT NULL,
    trace {text} NOT NULL,
    span {text} NOT NULL,
    digest {bytes} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (organisation, trace, span, digest)
){rowid};

-- Traces of which something came.
CREATE TABLE pending_trace (
    organisation {uuid} NOT NULL,
    trace {text} NOT NULL,
    -- Counts what arrives: an assembly during which more arrived does not close the trace.
    arrivals {i64} NOT NULL,
    first_received_at {i64} NOT NULL,
    last_received_at {i64} NOT NULL,
    -- Whether a root has come.
    complete {bool} NOT NULL,
    -- When it is assembled; NULL once it was.
    due_at {i64},
    -- Why runs within it became no executions.
    error {text},
    PRIMARY KEY (organisation, trace)
){clustered};
CREATE INDEX pending_trace_due ON pending_trace (organisation, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX pending_trace_received ON pending_trace (organisation, last_received_at) WHERE due_at IS NULL;

-- Executions that turned out to be part of another one.
CREATE TABLE superseded_execution (
    organisation {uuid} NOT NULL,
    execution {uuid} NOT NULL,
    superseded_by {uuid} NOT NULL,
    PRIMARY KEY (organisation, execution)
){clustered};

-- Other names of executions: `response:...`, `span:...`, `session:...`.
CREATE TABLE execution_alias (
    organisation {uuid} NOT NULL,
    alias {text} NOT NULL,
    execution {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    recorded_at {i64} NOT NULL,
    PRIMARY KEY (organisation, alias, execution)
){clustered};
CREATE INDEX execution_trace ON execution (trace, organisation) WHERE trace IS NOT NULL;

-- Feedback that names what it is about by something else than an execution. Once it is settled the row remains, without
-- its body, so that the same statement sent again is known.
CREATE TABLE waiting_feedback (
    organisation {uuid} NOT NULL,
    id {uuid} NOT NULL,
    fingerprint {bytes} NOT NULL,
    -- The alias that it waits for, or `trace:...`.
    wants {text} NOT NULL,
    body {text},
    received_at {i64} NOT NULL,
    -- When it is looked at next; NULL once it is settled.
    due_at {i64},
    attempts {i64} NOT NULL,
    error {text},
    PRIMARY KEY (organisation, id)
){rowid};
CREATE INDEX waiting_feedback_due ON waiting_feedback (organisation, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX waiting_feedback_wants ON waiting_feedback (organisation, wants) WHERE due_at IS NOT NULL;

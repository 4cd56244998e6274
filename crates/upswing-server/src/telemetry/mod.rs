//! Between what OpenTelemetry says and what is stored: which agent is meant, what is taken out on the way in, and how a run
//! and what was said of it become an execution and feedback.

pub(crate) mod agent;
pub(crate) mod intake;
pub(crate) mod run;
pub(crate) mod statement;

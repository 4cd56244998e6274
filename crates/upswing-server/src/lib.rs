//! Upswing over HTTP: the only place with HTTP, clocks and threads.
//!
//! A [`Server`] runs in the process that starts it, so that a test can start several. Handlers in `routes/` read:
//! authorise, ask, answer; what happens by itself stands in `jobs/`; both reach everything through `app.rs`.
//!
//! No SQL (it is in `upswing-store`), no learning (`upswing-learn`), no cryptography (`upswing-privacy`).

mod app;
mod auth;
mod decide;
mod gate;
mod jobs;
mod problem;
mod registry;
mod routes;
mod runtime;
mod server;
mod wire;

pub use jobs::learner::replay_ledger;
pub use problem::{Code, Problem, ProblemResponse};
pub use routes::{RouteInfo, openapi, routes};
pub use runtime::clock::{Clock, ManualClock, SystemClock};
pub use server::{Config, Server, StartError};

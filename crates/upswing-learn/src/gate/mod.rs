//! Gates: what a version has to pass before it meets traffic.
//!
//! [`GatePlan`] says which gates, in which order, with which thresholds; [`scorer`] judges one answer against what was
//! expected; [`off_policy`] asks the traffic of the past; [`GateState`] says where a version stands. Only
//! [`Outcome::Passed`] passes: evidence that is missing is not evidence of anything.
//!
//! ```
//! use upswing_learn::gate::{GateKind, GatePlan, GateState, Outcome};
//!
//! let plan = GatePlan { order: vec![GateKind::Safety, GateKind::Approval], ..GatePlan::default() };
//! let state = GateState::of(&plan, &[(GateKind::Safety, Outcome::Passed, String::new())], 0);
//! assert_eq!(state, GateState::Missing(vec![GateKind::Approval]));
//! ```

pub mod off_policy;
mod plan;
pub mod schema;
pub mod scorer;
mod state;

pub use plan::{GateKind, GatePlan, OffPolicyGate, RegressionGate, SafetyGate};
pub use scorer::Scorer;
pub use state::{GateState, Outcome};

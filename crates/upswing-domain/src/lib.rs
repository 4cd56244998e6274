//! Entities, identifiers, value types and rules of Upswing.
//!
//! Pure: no IO, no clock, no randomness. Whatever must be in range is a type that can only be made through its
//! check ([`Reward`], [`Probability`], [`Context`]); an error names the field, the value and the range.
#![warn(missing_docs)]

mod agent;
pub mod assignment;
mod consent;
mod context;
pub mod correction;
mod decision;
mod error;
mod execution;
mod experiment;
mod feedback;
mod findings;
mod id;
mod implicit;
mod number;
mod permission;
mod policy;
mod reward;
mod rollout;
mod shadow;
mod timestamp;
mod version;

pub use agent::{Agent, AgentName, MAX_SEGMENT_VALUES, SEGMENT_OTHER, Segment};
pub use consent::{Consent, ConsentRule, Purpose};
pub use context::{Context, ContextValue};
pub use decision::{Decision, DecisionReason, Origin};
pub use error::Invalid;
pub use execution::{Execution, Target};
pub use experiment::{
    Adaptive, Allocation, Assignment, AssignmentUnit, Condition, Experiment, ExperimentAction, ExperimentArm,
    ExperimentError, ExperimentId, ExperimentMetric, ExperimentPlan, ExperimentStatus, Holdout, Layer,
    METRIC_SOURCES, MetricKind, MetricRole, Operator, Placement, RolloutMargins, SequentialMethod,
    check_split,
};
pub use feedback::{Dimensions, Feedback, FeedbackSource, FeedbackType, Payload, Standing, Statement};
pub use findings::{Enrichment, Findings, Flag};
pub use id::{
    AgentId, DecisionId, ExecutionId, FeedbackId, InputHash, KeyId, OrganisationId, Position, Pseudonym,
    VersionId,
};
pub use implicit::{
    Abandon, Behaviour, ContentReading, Copy, Edit, ItemEngagement, Navigation, Reading, Regenerate, Search,
};
pub use number::{Probability, Reward};
pub use permission::{Permission, Role};
pub use policy::PolicyConfig;
pub use reward::{
    Absence, Direction, MetricRule, RewardDefinition, Signal, SignalKind, SignalRule, SourceWeights,
};
pub use rollout::{
    FreezeWindow, Judgement, Rollout, RolloutError, RolloutId, RolloutPlan, RolloutState, RolloutStep,
    Transition,
};
pub use shadow::{
    Did, PairedDifference, ShadowExecution, ShadowFindings, ShadowPair, ShadowStage, is_of_executions,
};
pub use timestamp::Timestamp;
pub use version::{Version, canonical_json};

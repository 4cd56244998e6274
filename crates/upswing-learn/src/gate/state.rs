//! Where a version stands before its gates.

use super::{GateKind, GatePlan};

/// What a gate found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for was shown.
    Passed,
    /// The opposite was shown.
    Failed,
    /// There is evidence, too little of it to say either.
    Insufficient,
    /// There is nothing to look at.
    NotApplicable,
}

impl Outcome {
    /// As on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Insufficient => "insufficient",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// The outcome of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Passed, Self::Failed, Self::Insufficient, Self::NotApplicable]
            .into_iter()
            .find(|o| o.name() == name)
    }
}

/// Where a version stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateState {
    /// The agent has no gates.
    Unconfigured,
    /// It passed all of them.
    Passed,
    /// It failed one, and why.
    Failed {
        /// The first that it failed.
        gate: GateKind,
        /// Why.
        why: String,
    },
    /// It failed none, and these are not passed: not run, not approved, or without enough evidence.
    Missing(Vec<GateKind>),
}

impl GateState {
    /// From the last result of each gate under this plan, and how many different people approved.
    pub fn of(plan: &GatePlan, results: &[(GateKind, Outcome, String)], approvals: usize) -> Self {
        if plan.order.is_empty() {
            return Self::Unconfigured;
        }
        let mut missing = Vec::new();
        for gate in &plan.order {
            if *gate == GateKind::Approval {
                if approvals < plan.approvals() {
                    missing.push(*gate);
                }
                continue;
            }
            match results.iter().find(|(of, ..)| of == gate) {
                Some((_, Outcome::Passed, _)) => {}
                Some((_, Outcome::Failed, why)) => return Self::Failed { gate: *gate, why: why.clone() },
                Some((_, Outcome::Insufficient | Outcome::NotApplicable, _)) | None => missing.push(*gate),
            }
        }
        if missing.is_empty() { Self::Passed } else { Self::Missing(missing) }
    }

    /// Whether the version may meet traffic as far as gates are concerned.
    pub fn allows(&self) -> bool {
        matches!(self, Self::Unconfigured | Self::Passed)
    }

    /// `unconfigured`, `passed`, `failed` or `missing`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unconfigured => "unconfigured",
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::Missing(_) => "missing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passed_passes() {
        use GateKind::{Approval, OffPolicy};
        let plan = GatePlan { order: vec![OffPolicy, Approval], sensitive: true, ..GatePlan::default() };
        let of =
            |outcome, approvals| GateState::of(&plan, &[(OffPolicy, outcome, "why".to_owned())], approvals);
        assert_eq!(of(Outcome::Passed, 2), GateState::Passed);
        assert_eq!(of(Outcome::Passed, 1), GateState::Missing(vec![Approval]));
        assert_eq!(of(Outcome::Insufficient, 2), GateState::Missing(vec![OffPolicy]));
        assert_eq!(of(Outcome::NotApplicable, 2), GateState::Missing(vec![OffPolicy]));
        assert_eq!(of(Outcome::Failed, 2), GateState::Failed { gate: OffPolicy, why: "why".to_owned() });
        assert_eq!(GateState::of(&plan, &[], 2), GateState::Missing(vec![OffPolicy]));
        assert!(GateState::of(&GatePlan::default(), &[], 0).allows());
    }
}

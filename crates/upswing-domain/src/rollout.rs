//! A version on its way from 0 to 100 % of the traffic, or back: what is planned, where it stands, and what comes next.
//!
//! One state machine, pure: [`Rollout::next`] says what is due, given what has been found out and what time it is.

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AssignmentUnit, Direction, ExperimentMetric, Invalid, MetricKind, MetricRole, SequentialMethod,
    ShadowFindings, ShadowStage, Timestamp, VersionId,
};

/// A rollout, and the comparison that judges it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct RolloutId(pub uuid::Uuid);

impl std::fmt::Display for RolloutId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A stretch of a rollout with one share of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutStep {
    /// The new version's share, above 0 and below 1.
    pub weight: f64,
    /// For how many seconds at least.
    pub seconds: u32,
    /// Until so many of the new version's units have an outcome by every guardrail.
    #[serde(default)]
    pub minimum_units: u64,
}

/// A time of the week in which nothing advances. Rolling back is always possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeWindow {
    /// 1 for Monday to 7 for Sunday; every day, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekday: Option<u8>,
    /// From so many minutes after midnight in UTC.
    pub from_minute: u16,
    /// To so many minutes after midnight, 1440 being the end of the day.
    pub to_minute: u16,
}

impl FreezeWindow {
    fn holds(self, now: Timestamp) -> bool {
        let minutes = now.0.div_euclid(60_000_000);
        // 1970-01-01 was a Thursday.
        let weekday = (minutes.div_euclid(1_440) + 3).rem_euclid(7) + 1;
        let minute = minutes.rem_euclid(1_440);
        self.weekday.is_none_or(|day| i64::from(day) == weekday)
            && (i64::from(self.from_minute)..i64::from(self.to_minute)).contains(&minute)
    }
}

/// How a version is rolled out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutPlan {
    /// Before all that: executed beside what is served, seen by nobody. None, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowStage>,
    /// The canary and what follows; weights rise.
    pub steps: Vec<RolloutStep>,
    /// What must not become worse, beside being served: values in bounds. Errors of executions, unless given.
    pub guardrails: Vec<ExperimentMetric>,
    /// What the version is meant to be good at: a value in bounds. The reward, unless given.
    pub goal: ExperimentMetric,
    /// How often at most a version that is no worse is rolled back, all guardrails together.
    pub alpha: f64,
    /// The share of the current version's goal that the new one has to reach at least.
    pub margin: f64,
    /// By how much each guardrail may be worse at most before the version takes over, as a share of its bounds: a version
    /// that fails 3 % of the time reaches 95 % of one that fails 0.5 %, so the goal's margin alone would let it through.
    pub guardrail_margin: f64,
    /// Whom it assigns.
    pub unit: AssignmentUnit,
    /// What is not known this many seconds after the start is not waited for: the rollout holds and asks.
    pub deadline_seconds: u64,
    /// When nothing advances.
    pub freeze: Vec<FreezeWindow>,
    /// Whether the last step may be taken without somebody saying so.
    pub automatic: bool,
}

impl Default for RolloutPlan {
    fn default() -> Self {
        let metric = |name: &str, kind, role, direction| ExperimentMetric {
            name: name.to_owned(),
            source: String::new(),
            kind,
            role,
            direction,
            bounds: None,
            denominator: None,
            quantile: None,
            absence: Default::default(),
            window_seconds: None,
            minimum_effect: None,
            method: None,
        };
        let step = |weight, seconds| RolloutStep { weight, seconds, minimum_units: 0 };
        Self {
            shadow: None,
            steps: vec![step(0.05, 600), step(0.1, 600), step(0.25, 600), step(0.5, 600)],
            guardrails: vec![metric(
                "error",
                MetricKind::Proportion,
                MetricRole::Guardrail,
                Direction::Decrease,
            )],
            goal: metric("reward", MetricKind::Mean, MetricRole::Goal, Direction::Increase),
            alpha: 0.05,
            margin: 0.95,
            guardrail_margin: 0.01,
            unit: AssignmentUnit::Execution,
            deadline_seconds: 7 * 86_400,
            freeze: Vec::new(),
            automatic: true,
        }
    }
}

/// Why a rollout cannot be, or cannot do what is asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RolloutError {
    /// A value is outside of what is allowed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Weights do not rise.
    #[error("step {step} has the weight {weight}, which is not above the one before it")]
    StepsFall {
        /// Which, from 1.
        step: usize,
        /// Its weight.
        weight: f64,
    },
    /// The version serves already.
    #[error("version {0} is the champion already")]
    AlreadyLive(VersionId),
    /// The version was taken back.
    #[error("version {0} was rolled back; promote it by hand, or make another")]
    Retired(VersionId),
    /// There is nothing to compare with.
    #[error("the agent has no champion to compare the version with: promote one first")]
    NoChampion,
    /// Another comparison has the agent's traffic.
    #[error("{0} is under way")]
    Busy(String),
    /// The present state does not allow it.
    #[error("the rollout is {from}: it cannot be {action}")]
    State {
        /// The state.
        from: &'static str,
        /// What was asked for.
        action: &'static str,
    },
    /// The evidence does not allow it, unless somebody who may says so.
    #[error("{0}")]
    NotProven(String),
}

impl RolloutPlan {
    /// How many steps a rollout may have.
    pub const MAX_STEPS: usize = 20;

    /// Checks it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), RolloutError> {
        if !(1..=Self::MAX_STEPS).contains(&self.steps.len()) {
            let expected = format!("1 to {} steps", Self::MAX_STEPS);
            return Err(Invalid::new("steps", self.steps.len(), expected).into());
        }
        let mut before = 0.0;
        for (step, number) in self.steps.iter().zip(1..) {
            if !(step.weight > 0.0 && step.weight < 1.0) {
                return Err(Invalid::new("steps.weight", step.weight, "above 0 and below 1").into());
            }
            if step.weight <= before {
                return Err(RolloutError::StepsFall { step: number, weight: step.weight });
            }
            before = step.weight;
        }
        if !(1..=20).contains(&self.guardrails.len()) {
            return Err(Invalid::new("guardrails", self.guardrails.len(), "1 to 20").into());
        }
        for metric in self.guardrails.iter().chain([&self.goal]) {
            if metric.outcome_bounds().is_none() || metric.method() != SequentialMethod::EProcess {
                let expected = "a value with bounds, judged by the e-process";
                return Err(Invalid::new("guardrails", &metric.name, expected).into());
            }
        }
        if !(0.000_1..=0.5).contains(&self.alpha) {
            return Err(Invalid::new("alpha", self.alpha, "0.0001 to 0.5").into());
        }
        if !(self.margin > 0.0 && self.margin <= 1.0) {
            return Err(Invalid::new("margin", self.margin, "above 0, at most 1").into());
        }
        if !(self.guardrail_margin > 0.0 && self.guardrail_margin < 1.0) {
            return Err(Invalid::new("guardrail_margin", self.guardrail_margin, "above 0 and below 1").into());
        }
        if let Some(shadow) = &self.shadow {
            shadow.check(&self.guardrails)?;
        }
        for window in &self.freeze {
            let fits = window.weekday.is_none_or(|day| (1..=7).contains(&day))
                && window.from_minute < window.to_minute
                && window.to_minute <= 1_440;
            if !fits {
                let range = format!("{} to {}", window.from_minute, window.to_minute);
                let expected = "a weekday from 1 to 7, and minutes of the day, the earlier one first";
                return Err(Invalid::new("freeze", range, expected).into());
            }
        }
        Ok(())
    }

    /// Whether nothing advances now.
    pub fn frozen(&self, now: Timestamp) -> bool {
        self.freeze.iter().any(|window| window.holds(now))
    }
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// On its way.
    Running,
    /// Waits for somebody to say what is to become of it. Its share stays; harm still takes it back.
    Held,
    /// Serves everybody.
    Promoted,
    /// Serves nobody.
    RolledBack,
}

impl RolloutState {
    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Held => "held",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
        }
    }

    /// The state of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Running, Self::Held, Self::Promoted, Self::RolledBack]
            .into_iter()
            .find(|state| state.name() == name)
    }

    /// Whether it serves a share.
    pub fn active(self) -> bool {
        matches!(self, Self::Running | Self::Held)
    }
}

/// What has been found out about the new version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The guardrail with the most evidence of harm, where there is enough of it.
    pub harm: Option<String>,
    /// The combined e-value against "no guardrail is worse"; where a shadow came before, the mean of its e-value and that.
    pub harm_e_value: f64,
    /// A stream without outcomes of one of the versions: nothing can be said.
    pub silent: Option<String>,
    /// Whether neither the goal nor a guardrail is worse than its margin allows.
    pub not_inferior: bool,
    /// What is not proven yet of that.
    pub unproven: Vec<String>,
    /// The e-value of the goal not being worse.
    pub goal_e_value: f64,
    /// The new version's units with an outcome by every guardrail.
    pub units: u64,
    /// The current version's.
    pub current_units: u64,
    /// What was seen where both versions were executed, where that was planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowFindings>,
}

/// What becomes of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Transition {
    /// The next step; from the shadow, the first.
    Advance {
        /// Its place, from 0.
        step: usize,
    },
    /// Waits and asks.
    Hold {
        /// Why.
        why: String,
    },
    /// Everybody gets the new version.
    Promote {
        /// Why.
        why: String,
    },
    /// Nobody gets it any more.
    RollBack {
        /// Why.
        why: String,
    },
    /// Goes on after it was held.
    Resume,
}

impl Transition {
    /// As stored and on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Advance { .. } => "advance",
            Self::Hold { .. } => "hold",
            Self::Promote { .. } => "promote",
            Self::RollBack { .. } => "roll_back",
            Self::Resume => "resume",
        }
    }

    /// Why.
    pub fn why(&self) -> &str {
        match self {
            Self::Advance { .. } => "no harm was found",
            Self::Hold { why } | Self::Promote { why } | Self::RollBack { why } => why,
            Self::Resume => "somebody let it go on",
        }
    }

    /// Where it leads.
    ///
    /// # Errors
    /// When the state does not allow it.
    pub fn from(&self, state: RolloutState) -> Result<RolloutState, RolloutError> {
        let to = match self {
            Self::Advance { .. } | Self::Resume => RolloutState::Running,
            Self::Hold { .. } => RolloutState::Held,
            Self::Promote { .. } => RolloutState::Promoted,
            Self::RollBack { .. } => RolloutState::RolledBack,
        };
        let allowed = match self {
            Self::Advance { .. } | Self::Hold { .. } => state == RolloutState::Running,
            Self::Resume => state == RolloutState::Held,
            Self::Promote { .. } | Self::RollBack { .. } => state.active(),
        };
        let action = match self {
            Self::Advance { .. } => "advanced",
            Self::Hold { .. } => "held",
            Self::Promote { .. } => "promoted",
            Self::RollBack { .. } => "rolled back",
            Self::Resume => "resumed",
        };
        if allowed { Ok(to) } else { Err(RolloutError::State { from: state.name(), action }) }
    }
}

/// A rollout as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// Its id, which is also its comparison's.
    pub id: RolloutId,
    /// Whose version.
    pub agent: AgentId,
    /// The new version.
    pub version: VersionId,
    /// The champion it is compared with, and that serves again after a rollback.
    pub previous: VersionId,
    /// Where it stands.
    pub state: RolloutState,
    /// Whether it is still in the shadow that comes before its first step: nobody is served the new version.
    pub shadow: bool,
    /// Which step.
    pub step: usize,
    /// Since when.
    pub step_since: Timestamp,
    /// How it is rolled out.
    pub plan: RolloutPlan,
    /// Why, as somebody wrote.
    pub reason: String,
    /// When it began.
    pub created_at: Timestamp,
    /// What is not known then is not waited for.
    pub deadline: Timestamp,
    /// Counts its transitions.
    pub revision: i64,
}

impl Rollout {
    /// The new version's share of the traffic.
    pub fn weight(&self) -> f64 {
        match self.state {
            RolloutState::Promoted => 1.0,
            RolloutState::RolledBack => 0.0,
            RolloutState::Running | RolloutState::Held if self.shadow => 0.0,
            RolloutState::Running | RolloutState::Held => {
                self.plan.steps.get(self.step).map_or(0.0, |step| step.weight)
            }
        }
    }

    /// How many seconds the present step, or the shadow before the first, takes at least.
    pub fn stage_seconds(&self) -> Option<u32> {
        if self.shadow {
            return self.plan.shadow.map(|stage| stage.seconds);
        }
        self.plan.steps.get(self.step).map(|step| step.seconds)
    }

    /// What is due: harm takes back at once; a step that has had its time and units, and in which nothing is silent, is
    /// followed by the next; after the last the new version takes over when it is proven to be no worse by the margin. What has
    /// not come to that at the deadline waits for somebody.
    pub fn next(&self, judged: &Judgement, now: Timestamp) -> Option<Transition> {
        if !self.state.active() {
            return None;
        }
        if let Some(guardrail) = &judged.harm {
            let why = format!("{guardrail} is worse: the evidence is {:.0} to 1", judged.harm_e_value);
            return Some(Transition::RollBack { why });
        }
        if self.state == RolloutState::Held {
            return None;
        }
        if self.shadow {
            return self.next_of_shadow(judged, now);
        }
        let step = self.plan.steps.get(self.step)?;
        let waited = now >= self.step_since.plus_seconds(i64::from(step.seconds));
        let known = judged.silent.is_none() && judged.units >= step.minimum_units;
        let last = self.step + 1 >= self.plan.steps.len();
        if waited && known && !self.plan.frozen(now) {
            if !last {
                return Some(Transition::Advance { step: self.step + 1 });
            }
            if judged.not_inferior && self.plan.automatic {
                let why = format!(
                    "no harm was found, and {} is not worse than {} of the current version's: the evidence is {:.0} to 1",
                    self.plan.goal.name, self.plan.margin, judged.goal_e_value
                );
                return Some(Transition::Promote { why });
            }
            if judged.not_inferior {
                return Some(Transition::Hold { why: "it is ready: somebody has to promote it".to_owned() });
            }
        }
        (now >= self.deadline).then(|| {
            let why = match &judged.silent {
                Some(stream) => {
                    format!("the deadline has passed, and nothing was heard of {stream}: nothing can be said")
                }
                None => "the deadline has passed without proof that it is as good".to_owned(),
            };
            Transition::Hold { why }
        })
    }

    /// From the shadow the canary follows once it has had its time and its pairs; at the deadline somebody is asked.
    fn next_of_shadow(&self, judged: &Judgement, now: Timestamp) -> Option<Transition> {
        let stage = self.plan.shadow?;
        let (pairs, least) =
            judged.shadow.as_ref().map_or((0, "error"), |found| (found.judged, &*found.least));
        let waited = now >= self.step_since.plus_seconds(i64::from(stage.seconds));
        if waited && pairs >= stage.minimum_pairs.max(1) && !self.plan.frozen(now) {
            return Some(Transition::Advance { step: 0 });
        }
        (now >= self.deadline).then(|| {
            let why = if pairs == 0 {
                format!("the deadline has passed, and nothing was heard of {least} in the shadow: nothing can be said")
            } else if pairs >= stage.minimum_pairs {
                "the deadline has passed before the shadow has had its time, or while nothing may advance".to_owned()
            } else {
                format!(
                    "the deadline has passed with {pairs} pairs of {} by {least} in the shadow: too little can be said",
                    stage.minimum_pairs
                )
            };
            Transition::Hold { why }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> Rollout {
        Rollout {
            id: RolloutId(uuid::Uuid::nil()),
            agent: AgentId(uuid::Uuid::nil()),
            version: VersionId([1; 32]),
            previous: VersionId([2; 32]),
            state: RolloutState::Running,
            shadow: false,
            step: 0,
            step_since: Timestamp(0),
            plan: RolloutPlan::default(),
            reason: String::new(),
            created_at: Timestamp(0),
            deadline: Timestamp(0).plus_seconds(7 * 86_400),
            revision: 0,
        }
    }

    fn judged() -> Judgement {
        Judgement {
            harm: None,
            harm_e_value: 1.0,
            silent: None,
            not_inferior: false,
            unproven: vec!["reward".to_owned()],
            goal_e_value: 1.0,
            units: 100,
            current_units: 1_000,
            shadow: None,
        }
    }

    fn in_shadow(pairs: u64) -> Judgement {
        let shadow = ShadowFindings {
            pairs,
            judged: pairs,
            least: "error".to_owned(),
            outputs: 0,
            agreement: None,
            e_value: 1.0,
            worst: "error".to_owned(),
            guardrails: Vec::new(),
            metrics: Vec::new(),
        };
        // Nobody is served the new version: of its units nothing is known.
        Judgement { silent: Some("error".to_owned()), units: 0, shadow: Some(shadow), ..judged() }
    }

    const MINUTE: i64 = 60;

    fn at(minutes: i64) -> Timestamp {
        Timestamp(0).plus_seconds(minutes * MINUTE)
    }

    #[test]
    fn steps_follow_each_other_and_the_last_needs_proof() {
        let mut rollout = rollout();
        assert_eq!(rollout.next(&judged(), at(9)), None);
        for step in 1..4 {
            assert_eq!(rollout.next(&judged(), at(10)), Some(Transition::Advance { step }));
            rollout.step = step;
        }
        assert_eq!(rollout.next(&judged(), at(10)), None);
        let proven = Judgement { not_inferior: true, goal_e_value: 30.0, ..judged() };
        assert!(matches!(rollout.next(&proven, at(10)), Some(Transition::Promote { .. })));
        rollout.plan.automatic = false;
        assert!(matches!(rollout.next(&proven, at(10)), Some(Transition::Hold { .. })));
    }

    #[test]
    fn silence_and_too_few_units_never_advance_and_the_deadline_asks() {
        let rollout = rollout();
        let silent = Judgement { silent: Some("error".to_owned()), not_inferior: true, ..judged() };
        assert_eq!(rollout.next(&silent, at(60 * 24)), None);
        let asked = rollout.next(&silent, rollout.deadline);
        assert!(matches!(asked, Some(Transition::Hold { why }) if why.contains("nothing was heard")));
        let mut few = rollout.clone();
        few.plan.steps[0].minimum_units = 101;
        assert_eq!(few.next(&judged(), at(20)), None);
    }

    #[test]
    fn a_shadow_needs_its_time_and_its_pairs_and_nothing_of_it_promotes() {
        let mut rollout = rollout();
        rollout.plan.shadow = Some(ShadowStage { share: 0.1, seconds: 600, minimum_pairs: 50 });
        rollout.shadow = true;
        let first = Some(Transition::Advance { step: 0 });
        assert_eq!(rollout.next(&in_shadow(50), at(9)), None);
        assert_eq!(rollout.next(&in_shadow(49), at(10)), None);
        assert_eq!(rollout.next(&in_shadow(50), at(10)), first);
        let proven = Judgement { not_inferior: true, silent: None, ..in_shadow(50) };
        assert_eq!(
            rollout.next(&proven, at(10)),
            first,
            "the shadow is followed by the canary, by nothing else"
        );
        for (found, said) in [(in_shadow(0), "nothing was heard of error"), (in_shadow(49), "49 pairs of 50")]
        {
            let asked = rollout.next(&found, rollout.deadline);
            assert!(matches!(&asked, Some(Transition::Hold { why }) if why.contains(said)), "{asked:?}");
        }
        let mut slow = rollout.clone();
        slow.deadline = at(9);
        let asked = slow.next(&in_shadow(50), at(9));
        assert!(matches!(&asked, Some(Transition::Hold { why }) if why.contains("its time")), "{asked:?}");
        let unheard = Judgement { shadow: None, ..judged() };
        assert_eq!(rollout.next(&unheard, at(20)), None);
        let harm = Judgement { harm: Some("error".to_owned()), ..in_shadow(3) };
        assert!(matches!(rollout.next(&harm, at(1)), Some(Transition::RollBack { .. })));
        rollout.plan.freeze = vec![FreezeWindow { weekday: None, from_minute: 0, to_minute: 1_440 }];
        assert_eq!(rollout.next(&in_shadow(50), at(10)), None);
    }

    #[test]
    fn harm_takes_back_also_what_is_held_or_frozen() {
        let mut rollout = rollout();
        rollout.plan.freeze = vec![FreezeWindow { weekday: None, from_minute: 0, to_minute: 1_440 }];
        assert_eq!(rollout.next(&judged(), at(20)), None);
        let harm = Judgement { harm: Some("error".to_owned()), ..judged() };
        for state in [RolloutState::Running, RolloutState::Held] {
            rollout.state = state;
            assert!(matches!(rollout.next(&harm, at(1)), Some(Transition::RollBack { .. })));
        }
        for state in [RolloutState::Promoted, RolloutState::RolledBack] {
            rollout.state = state;
            assert_eq!(rollout.next(&harm, at(1)), None);
        }
    }

    #[test]
    fn freeze_windows_are_times_of_the_week() {
        // 1970-01-02 was a Friday.
        let friday = FreezeWindow { weekday: Some(5), from_minute: 600, to_minute: 720 };
        assert!(friday.holds(at(1_440 + 600)) && !friday.holds(at(1_440 + 720)) && !friday.holds(at(600)));
    }

    #[test]
    fn plans_that_cannot_be_are_refused() {
        let mut plan = RolloutPlan::default();
        plan.check().unwrap();
        plan.steps[1].weight = 0.04;
        assert!(matches!(plan.check(), Err(RolloutError::StepsFall { step: 2, .. })));
        plan.steps.clear();
        assert!(plan.check().is_err());
        for shadow in [
            ShadowStage { share: 0.0, ..ShadowStage::default() },
            ShadowStage { share: 1.5, ..ShadowStage::default() },
            ShadowStage { minimum_pairs: 0, ..ShadowStage::default() },
        ] {
            let plan = RolloutPlan { shadow: Some(shadow), ..RolloutPlan::default() };
            assert!(plan.check().is_err(), "{shadow:?}");
        }
        let mut plan = RolloutPlan { shadow: Some(ShadowStage::default()), ..RolloutPlan::default() };
        plan.check().unwrap();
        // Nobody rates what nobody sees.
        plan.guardrails[0].source = "satisfied".to_owned();
        assert!(plan.check().is_err());
    }
}

//! Logged decisions as evaluation sees them.

use super::OffPolicyError;

/// What a model expects of the reward, for doubly robust estimators and the direct method.
///
/// Fit it on other events than this one (cross-fitting), or the estimators inherit its optimism.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Model {
    /// Of the action that was logged, in its context: q(x, a).
    pub logged: f64,
    /// Under the target policy in the same context: the sum over actions of target probability times q.
    pub target: f64,
}

/// One logged decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// What it earned, on any scale.
    pub reward: f64,
    /// The probability with which the logging policy chose the action, in (0, 1].
    pub propensity: f64,
    /// The probability with which the target policy would choose the same action in the same context, in [0, 1].
    pub target: f64,
    /// Modelled rewards; `None` where there is no model, which is not a model of 0.
    pub model: Option<Model>,
}

impl Event {
    /// The importance weight: how many decisions of the target policy this one stands for.
    pub fn weight(&self) -> f64 {
        self.target / self.propensity
    }

    fn check(&self, event: usize) -> Result<(), OffPolicyError> {
        let model = self.model.map_or([0.0; 2], |model| [model.logged, model.target]);
        let fields = [
            ("the reward", self.reward),
            ("q of the logged action", model[0]),
            ("q under the target policy", model[1]),
        ];
        if let Some((field, value)) = fields.into_iter().find(|(_, value)| !value.is_finite()) {
            return Err(OffPolicyError::NotFinite { event, field, value });
        }
        let Self { propensity, target, .. } = *self;
        if !(propensity > 0.0 && propensity <= 1.0) {
            return Err(OffPolicyError::Propensity { event, value: propensity });
        }
        if !(0.0..=1.0).contains(&target) {
            return Err(OffPolicyError::Target { event, value: target });
        }
        // A propensity so small that the ratio leaves the numbers.
        if !self.weight().is_finite() {
            return Err(OffPolicyError::Weight { event, target, propensity });
        }
        Ok(())
    }
}

/// Decisions that were checked, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    events: Vec<Event>,
}

impl Log {
    /// Checks events and keeps them. O(n).
    ///
    /// # Errors
    /// When there are none, or one has a number that is not finite, a propensity outside of (0, 1] or a target probability
    /// outside of [0, 1]; the error names the event.
    pub fn new(events: impl IntoIterator<Item = Event>) -> Result<Self, OffPolicyError> {
        let events: Vec<Event> = events.into_iter().collect();
        for (index, event) in events.iter().enumerate() {
            event.check(index)?;
        }
        if events.is_empty() {
            return Err(OffPolicyError::TooFew { events: 0, least: 1 });
        }
        Ok(Self { events })
    }

    /// The events in their order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The mean reward of what was logged: the value of the logging policy itself.
    pub fn on_policy_value(&self) -> f64 {
        self.events.iter().map(|event| event.reward).sum::<f64>() / self.events.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Event =
        Event { reward: 1.0, propensity: 0.5, target: 0.25, model: Some(Model { logged: 0.5, target: 0.5 }) };

    #[test]
    fn a_bad_number_is_an_error_that_names_its_event() {
        let with = |event: Event| Log::new([FINE, event]).unwrap_err();
        assert!(matches!(
            with(Event { reward: f64::NAN, ..FINE }),
            OffPolicyError::NotFinite { event: 1, .. }
        ));
        for propensity in [0.0, -0.1, 1.0 + 1e-9, f64::NAN, f64::INFINITY] {
            let error = with(Event { propensity, ..FINE });
            assert!(matches!(error, OffPolicyError::Propensity { event: 1, .. }), "{propensity}");
        }
        for target in [-1e-9, 1.5, f64::NAN] {
            assert!(matches!(with(Event { target, ..FINE }), OffPolicyError::Target { event: 1, .. }));
        }
        for model in [Model { logged: f64::INFINITY, target: 0.0 }, Model { logged: 0.0, target: f64::NAN }] {
            assert!(matches!(
                with(Event { model: Some(model), ..FINE }),
                OffPolicyError::NotFinite { event: 1, .. }
            ));
        }
        let tiny = Event { propensity: 5e-324, target: 1.0, ..FINE };
        assert!(matches!(with(tiny), OffPolicyError::Weight { event: 1, .. }));
        assert_eq!(Log::new([]), Err(OffPolicyError::TooFew { events: 0, least: 1 }));
    }
}

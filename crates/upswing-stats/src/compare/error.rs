//! Why something cannot be computed. A number that does not exist is never given as one.

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// What is served today.
    Control,
    /// What is compared with it.
    Treatment,
}

impl std::fmt::Display for Arm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Treatment => "treatment",
        })
    }
}

/// Why sums do not summarise an arm.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SummaryError {
    /// An arm without units has no mean.
    #[error("an arm needs at least one unit")]
    NoUnits,
    /// A sum that is infinite or not a number, or whose square is.
    #[error("{name} is {value}, but has to be finite, and so has its square")]
    NotFinite {
        /// Which argument.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// More successes than units.
    #[error("{successes} successes of {units} units")]
    TooManySuccesses {
        /// Units that succeeded.
        successes: u64,
        /// Units in all.
        units: u64,
    },
    /// No values have these sums.
    #[error("no values have these sums: {0}")]
    Contradiction(&'static str),
    /// The parts of a ratio or an adjustment count different units.
    #[error("both sums have to be of the same units, but they are of {first} and {second}")]
    DifferentUnits {
        /// Units of the first part.
        first: u64,
        /// Units of the second part.
        second: u64,
    },
    /// A ratio whose denominator sums to zero.
    #[error("the denominator sums to zero")]
    ZeroDenominator,
    /// A quantile's level outside of (0, 1).
    #[error("the quantile's level is {0}, but has to lie within (0, 1)")]
    QuantileLevel(f64),
}

/// Why two arms cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum EffectError {
    /// The arms are summarised in different ways.
    #[error(
        "the arms have to be summarised alike, but the control is {control} and the treatment {treatment}"
    )]
    DifferentKinds {
        /// The control's kind.
        control: &'static str,
        /// The treatment's kind.
        treatment: &'static str,
    },
    /// Quantiles of different levels.
    #[error("the control's quantile is of level {control}, the treatment's of level {treatment}")]
    DifferentQuantiles {
        /// The control's level.
        control: f64,
        /// The treatment's level.
        treatment: f64,
    },
    /// Too few units for a variance, or for a quantile's interval.
    #[error("the {arm} has {units} units, too few to say how much they vary")]
    TooFewUnits {
        /// Which arm.
        arm: Arm,
        /// Its units.
        units: u64,
    },
    /// All values of an arm are the same, or vary by less than the rounding of their sums. Rates of 0 or 1 are such: compare
    /// those with a randomisation e-process, which needs no variance.
    #[error("the values of the {arm} do not vary, as far as their sums can tell")]
    NoVariance {
        /// Which arm.
        arm: Arm,
    },
    /// Relative to nothing.
    #[error(
        "the control's mean is {0}; a relative effect needs one that is not zero, a log ratio positive means"
    )]
    Baseline(f64),
    /// The numbers are so large or so small that the effect or its error is no finite positive number.
    #[error(
        "the effect is out of the range of floating point: {estimate} with standard error {standard_error}"
    )]
    OutOfRange {
        /// The effect.
        estimate: f64,
        /// Its standard error.
        standard_error: f64,
    },
}

/// Why a parameter of an analysis is refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ParameterError {
    /// A number outside of its range.
    #[error("{name} is {value}, but has to be {range}")]
    Range {
        /// Which parameter.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// Two lists that belong together have different lengths.
    #[error("{what}: {first} and {second}")]
    Lengths {
        /// What has to be as long as what.
        what: &'static str,
        /// Length of the first.
        first: usize,
        /// Length of the second.
        second: usize,
    },
    /// Nothing to compute from.
    #[error("there are no {0}")]
    Empty(&'static str),
    /// A running total that became smaller.
    #[error("arm {arm} had {before} units and cannot have {now} now")]
    Decreased {
        /// Position of the arm.
        arm: usize,
        /// Units seen before.
        before: u64,
        /// Units said now.
        now: u64,
    },
    /// A prior on a scale that the effect cannot be brought to.
    #[error("a prior on the scale {prior:?} does not apply to an effect on the scale {effect:?}")]
    PriorScale {
        /// The prior's scale.
        prior: super::Scale,
        /// The effect's scale.
        effect: super::Scale,
    },
    /// No effect is large enough to be found with so few units.
    #[error("no effect of any size would be found with so few units")]
    Undetectable,
}

impl ParameterError {
    /// Refuses a number outside of the open interval (`low`, `high`), and NaN.
    pub(crate) fn within(
        name: &'static str,
        value: f64,
        low: f64,
        high: f64,
        range: &'static str,
    ) -> Result<f64, Self> {
        if value > low && value < high { Ok(value) } else { Err(Self::Range { name, value, range }) }
    }
}

//! How an agent chooses among its versions.

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Which policy chooses, with its parameters. What is not given has the documented default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum PolicyConfig {
    /// Always the champion.
    Fixed,
    /// The version with the best mean, but with probability `epsilon` any of them.
    EpsilonGreedy {
        /// Share of decisions spread evenly, 0 to 1.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
    },
    /// Thompson sampling on each version's mean reward; ignores the context.
    Thompson,
    /// Thompson sampling on a Bayesian linear model of the context, one a version.
    LinearThompson {
        /// Smallest probability of any eligible version, 0 to 1/versions.
        #[serde(default)]
        floor: f64,
    },
    /// The version with the highest upper confidence bound of a linear model of the context.
    LinUcb {
        /// Width of the bound in standard deviations, 0 to 10.
        #[serde(default = "default_ucb_width")]
        width: f64,
    },
}

fn default_epsilon() -> f64 {
    0.1
}

fn default_ucb_width() -> f64 {
    1.0
}

impl Default for PolicyConfig {
    /// Linear Thompson sampling without a floor: learns per context where the context matters and falls back to each
    /// version's mean where it does not.
    fn default() -> Self {
        Self::LinearThompson { floor: 0.0 }
    }
}

impl PolicyConfig {
    /// The policy's name, as on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::EpsilonGreedy { .. } => "epsilon_greedy",
            Self::Thompson => "thompson",
            Self::LinearThompson { .. } => "linear_thompson",
            Self::LinUcb { .. } => "lin_ucb",
        }
    }

    /// The policy of that name with its default parameters.
    ///
    /// # Errors
    /// When there is no such policy.
    pub fn named(name: &str) -> Result<Self, Invalid> {
        Ok(match name {
            "fixed" => Self::Fixed,
            "epsilon_greedy" => Self::EpsilonGreedy { epsilon: default_epsilon() },
            "thompson" => Self::Thompson,
            "linear_thompson" => Self::LinearThompson { floor: 0.0 },
            "lin_ucb" => Self::LinUcb { width: default_ucb_width() },
            _ => {
                let names = "one of fixed, epsilon_greedy, thompson, linear_thompson, lin_ucb";
                return Err(Invalid::new("policy", name, names));
            }
        })
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// When a parameter is outside of its range.
    pub fn validate(&self) -> Result<(), Invalid> {
        let within = |field: &str, value: f64, high: f64| {
            if (0.0..=high).contains(&value) {
                Ok(())
            } else {
                Err(Invalid::new(format!("policy.{field}"), value, format!("a number from 0 to {high}")))
            }
        };
        match *self {
            Self::Fixed | Self::Thompson => Ok(()),
            Self::EpsilonGreedy { epsilon } => within("epsilon", epsilon, 1.0),
            Self::LinearThompson { floor } => within("floor", floor, 0.5),
            Self::LinUcb { width } => within("width", width, 10.0),
        }
    }
}

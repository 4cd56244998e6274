//! How much one person may weigh.
//!
//! The n-th statement of one author counts in full while n is at most `full`, and then `(full / n)^2`. However many there
//! are, they sum to less than `2 full`, because the sum of `1/n^2` beyond `full` is below `1 / full`. So somebody who uses
//! an application a lot is heard in full where it matters, and a machine that never stops is heard no more than twice that.
//!
//! Repeated statements of one person are worth less anyway: n of them carry as much as `n / (1 + (n - 1) rho)` independent
//! ones, with rho the correlation within a person (the design effect: Kish, "Survey Sampling", 1965, section 5.4). With the
//! rho of 0.1 to 0.2 that ratings of one person have, that is at most 5 to 10, which is where [`Cap::PER_VERSION`] lies.
//!
//! A weight depends on how many statements of this author were accepted before, not on what comes after, so entries
//! that were written never have to be revised for it.
//!
//! ```
//! use upswing_trust::{AuthorCounts, Weight, cap_weight};
//!
//! assert_eq!(cap_weight(AuthorCounts { on_version: 0, on_agent: 0 }), Weight::ONE);
//! assert_eq!(cap_weight(AuthorCounts { on_version: 9, on_agent: 9 }), Weight::nearest(0.25));
//! ```

use crate::Weight;

/// The window in which an author's statements are counted, in seconds: 30 days. Opinions about a version are formed anew
/// after that, and versions seldom live longer.
pub const CAP_WINDOW_SECONDS: u32 = 30 * 86_400;

/// How many statements count in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    full: u32,
}

impl Cap {
    /// On one version: 5 in full, less than 10 in all.
    pub const PER_VERSION: Self = Self { full: 5 };
    /// On all versions of an agent: 20 in full, less than 40 in all. Four versions' worth.
    pub const PER_AGENT: Self = Self { full: 20 };

    /// A cap under which that many count in full; at least one does.
    pub const fn new(full: u32) -> Self {
        Self { full: if full == 0 { 1 } else { full } }
    }

    /// What all statements of one author weigh at most together.
    pub fn total(self) -> u64 {
        2 * u64::from(self.full)
    }

    /// The weight of the statement after `accepted` earlier ones.
    pub fn weight(self, accepted: u32) -> Weight {
        if accepted < self.full {
            return Weight::ONE;
        }
        let share = f64::from(self.full) / (f64::from(accepted) + 1.0);
        Weight::nearest(share * share)
    }
}

/// What one author said within the window and was accepted, before the statement in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuthorCounts {
    /// On the same version.
    pub on_version: u32,
    /// On all versions of the agent, this one included.
    pub on_agent: u32,
}

/// The weight of an author's next statement: the smaller of what the version's and the agent's cap leave.
pub fn cap_weight(accepted: AuthorCounts) -> Weight {
    Cap::PER_VERSION.weight(accepted.on_version).at_most(Cap::PER_AGENT.weight(accepted.on_agent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_author_exceeds_the_total(full in 0..200_u32, statements in 0..5_000_u32) {
            let cap = Cap::new(full);
            let sum: u64 = (0..statements).map(|n| u64::from(cap.weight(n).millionths())).sum();
            // Each weight is rounded to the nearest millionth.
            prop_assert!(sum <= cap.total() * 1_000_000 + u64::from(statements));
        }

        #[test]
        fn more_was_said_less_is_added(on_version in 0..10_000_u32, on_agent in 0..10_000_u32) {
            let now = cap_weight(AuthorCounts { on_version, on_agent });
            let then = cap_weight(AuthorCounts { on_version: on_version + 1, on_agent: on_agent + 1 });
            prop_assert!(then <= now);
        }
    }

    #[test]
    fn many_versions_do_not_lift_the_agents_cap() {
        let sum: f64 =
            (0..10_000_u32).map(|n| cap_weight(AuthorCounts { on_version: 0, on_agent: n }).get()).sum();
        assert!(sum < 40.0, "{sum}");
    }
}

//! `upswing experiments`: what an experiment comes to, without a server.
//!
//! Files of units or of sums become the tally that a server keeps, and the same analysis reads it.

pub(crate) mod metric;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod sums;
pub(crate) mod table;
pub(crate) mod trial;
pub(crate) mod units;

//! The platform itself: organisations, keys, the audit log, the description of the API, pages.

pub(super) mod audit;
pub(super) mod consents;
pub(super) mod keys;
pub(super) mod openapi;
pub(super) mod organisation;
pub(super) mod pages;
pub(super) mod problems;

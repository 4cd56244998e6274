//! The HTTP API, route by route, on SQLite and on PostgreSQL. The modules mirror the addresses; `access` walks all of them
//! with every kind of key.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod agents;
mod browser;
mod conformance;
mod decide;
mod executions;
mod experiments;
mod export;
mod feedback;
mod gates;
mod hot_update;
mod keys;
mod mutation;
mod pages;
mod problems;
mod reputation;
mod rollouts;
mod rollouts_evidence;
mod rollouts_shadow;
mod secrets;
mod servers;
mod settings;
mod signals;
mod support;
mod telemetry;
mod template_outcomes;
mod trust;

//! `upswing replay`: a file whose every outcome is known, played through a server's public API.
//!
//! Reading, arithmetic and drawing are pure; `play` alone speaks with a server.

pub(crate) mod curve;
pub(crate) mod outcomes;
pub(crate) mod play;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod table;

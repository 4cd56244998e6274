//! What is read out of what people did: windows over implicit feedback, and profiles.

pub(crate) mod profile;
pub(crate) mod window;

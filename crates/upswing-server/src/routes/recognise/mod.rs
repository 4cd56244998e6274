//! Recognise: what is read out of what people did.

pub(super) mod profiles;
pub(super) mod windows;

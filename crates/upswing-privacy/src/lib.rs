//! What keeps people's data and the organisation's secrets apart from everybody else: the master key and all that is
//! derived from it.
//!
//! No SQL, no HTTP, no clock. Randomness comes from the operating system and is used for keys and nonces alone.

mod api_key;
mod keyring;
pub mod redact;
mod token;

pub use api_key::{ApiKeyKind, ApiKeySecret};
pub use keyring::{Fingerprint, Keyring, KeyringError};
pub use token::{Token, TokenError, TokenUse};

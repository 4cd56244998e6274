//! API keys: what they look like. They are stored as keyed hashes alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::KeyringError;

/// Which of the two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKeyKind {
    /// `up_sk_`: for servers.
    Secret,
    /// `up_pk_`: may stand in a page; gives feedback for the execution that a token names.
    Publishable,
}

impl ApiKeyKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Secret => "up_sk_",
            Self::Publishable => "up_pk_",
        }
    }
}

/// A key as it is shown once. Its `Debug` form hides it.
#[derive(Clone)]
pub struct ApiKeySecret(String);

impl ApiKeySecret {
    /// A fresh key with 256 random bits.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate(kind: ApiKeyKind) -> Result<Self, KeyringError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| KeyringError::Randomness(e.to_string()))?;
        Ok(Self(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The kind of a presented key, by its form; `None` when it cannot be a key.
    pub fn kind_of(presented: &str) -> Option<ApiKeyKind> {
        [ApiKeyKind::Secret, ApiKeyKind::Publishable].into_iter().find(|kind| {
            presented.strip_prefix(kind.prefix()).is_some_and(|rest| {
                rest.len() == 43 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            })
        })
    }

    /// The key.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown later, so that people can tell keys apart: the first ten characters.
    pub fn hint(&self) -> &str {
        &self.0[..10]
    }
}

impl std::fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKeySecret({}…)", self.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_has_the_form_that_is_recognised() {
        for kind in [ApiKeyKind::Secret, ApiKeyKind::Publishable] {
            let key = ApiKeySecret::generate(kind).unwrap();
            assert_eq!(ApiKeySecret::kind_of(key.expose()), Some(kind));
            assert!(!format!("{key:?}").contains(&key.expose()[10..]));
        }
        assert_eq!(ApiKeySecret::kind_of("up_sk_short"), None);
        assert_eq!(ApiKeySecret::kind_of(&format!("up_sk_{}", " ".repeat(43))), None);
    }
}

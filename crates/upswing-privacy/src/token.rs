//! The sealed token of a decision: proof of what was decided, and the way back when the record was lost.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random 24-byte nonce, under a key of the organisation: many
//! billions of tokens a key are safe. It carries no context and nothing about a person.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use upswing_domain::{
    AgentId, DecisionId, ExecutionId, OrganisationId, Origin, Probability, RolloutId, Timestamp, VersionId,
};
use uuid::Uuid;

use crate::Keyring;

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUse {
    /// For servers: restores a decision. Does not expire.
    Decision,
    /// For browsers: gives feedback about one execution, until it expires, a limited number of times.
    Feedback,
    /// For servers: reports what a rollout's version did beside a decision, and nothing else. Does not expire.
    Shadow(RolloutId),
}

/// What a token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it may be used for.
    pub token_use: TokenUse,
    /// The agent.
    pub agent: AgentId,
    /// The execution it vouches for. For a decision token the same id as the decision's.
    pub execution: ExecutionId,
    /// The decision; nil where the execution followed from none.
    pub decision: DecisionId,
    /// The version that was decided; zero bytes where there was no decision.
    pub version: VersionId,
    /// Its propensity.
    pub propensity: Probability,
    /// Where the traffic comes from.
    pub origin: Origin,
    /// The agent's deployment epoch.
    pub epoch: i64,
    /// The policy's revision.
    pub policy_revision: i64,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends; zero for never.
    pub expires_at: Timestamp,
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, altered, of another organisation, or made with a key that is gone.
    #[error("the token is not one of this organisation's")]
    Invalid,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
}

const NONCE: usize = 24;
const BODY: usize = 1 + 16 * 3 + 32 + 8 + 1 + 8 * 4;

impl Token {
    /// Seals the token for this organisation.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn seal(&self, ring: &Keyring, organisation: OrganisationId) -> Result<String, TokenError> {
        let id = ring.current_id();
        let key = ring.token_key(id, organisation).ok_or(TokenError::Invalid)?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| TokenError::Invalid)?;
        let sealed = XChaCha20Poly1305::new(&key.into())
            .encrypt(XNonce::from_slice(&nonce), self.body().as_slice())
            .map_err(|_| TokenError::Invalid)?;
        let mut bytes = Vec::with_capacity(2 + NONCE + sealed.len());
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Opens a token.
    ///
    /// # Errors
    /// When it is not one of this organisation's, or has expired.
    pub fn open(
        text: &str,
        ring: &Keyring,
        organisation: OrganisationId,
        now: Timestamp,
    ) -> Result<Self, TokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Invalid)?;
        let (id, rest) = bytes.split_first_chunk::<2>().ok_or(TokenError::Invalid)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(TokenError::Invalid)?;
        let key = ring.token_key(u16::from_be_bytes(*id), organisation).ok_or(TokenError::Invalid)?;
        let body = XChaCha20Poly1305::new(&key.into())
            .decrypt(XNonce::from_slice(nonce), sealed)
            .map_err(|_| TokenError::Invalid)?;
        let token = Self::from_body(&body).ok_or(TokenError::Invalid)?;
        if token.expires_at.0 != 0 && now >= token.expires_at {
            return Err(TokenError::Expired);
        }
        Ok(token)
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(BODY);
        body.push(match self.token_use {
            TokenUse::Decision => 1,
            TokenUse::Feedback => 2,
            TokenUse::Shadow(_) => 3,
        });
        for id in [self.agent.0, self.execution.0, self.decision.0] {
            body.extend_from_slice(id.as_bytes());
        }
        body.extend_from_slice(&self.version.0);
        body.extend_from_slice(&self.propensity.get().to_be_bytes());
        body.push(match self.origin {
            Origin::Live => 0,
            Origin::Shadow => 1,
            Origin::Forced => 2,
            Origin::Replay => 3,
            Origin::Simulated => 4,
        });
        for number in [self.epoch, self.policy_revision, self.issued_at.0, self.expires_at.0] {
            body.extend_from_slice(&number.to_be_bytes());
        }
        if let TokenUse::Shadow(rollout) = self.token_use {
            body.extend_from_slice(rollout.0.as_bytes());
        }
        body
    }

    fn from_body(body: &[u8]) -> Option<Self> {
        fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
            let (head, tail) = rest.split_first_chunk::<N>()?;
            *rest = tail;
            Some(*head)
        }
        let rest = &mut &*body;
        let [kind] = take::<1>(rest)?;
        let agent = AgentId(Uuid::from_bytes(take(rest)?));
        let execution = ExecutionId(Uuid::from_bytes(take(rest)?));
        let decision = DecisionId(Uuid::from_bytes(take(rest)?));
        let version = VersionId(take(rest)?);
        let propensity = Probability::new(f64::from_be_bytes(take(rest)?)).ok()?;
        let origin = match take::<1>(rest)? {
            [0] => Origin::Live,
            [1] => Origin::Shadow,
            [2] => Origin::Forced,
            [3] => Origin::Replay,
            [4] => Origin::Simulated,
            _ => return None,
        };
        let epoch = i64::from_be_bytes(take(rest)?);
        let policy_revision = i64::from_be_bytes(take(rest)?);
        let issued_at = Timestamp(i64::from_be_bytes(take(rest)?));
        let expires_at = Timestamp(i64::from_be_bytes(take(rest)?));
        let token_use = match kind {
            1 => TokenUse::Decision,
            2 => TokenUse::Feedback,
            3 => TokenUse::Shadow(RolloutId(Uuid::from_bytes(take(rest)?))),
            _ => return None,
        };
        rest.is_empty().then_some(Self {
            token_use,
            agent,
            execution,
            decision,
            version,
            propensity,
            origin,
            epoch,
            policy_revision,
            issued_at,
            expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            token_use: TokenUse::Feedback,
            agent: AgentId(Uuid::from_u128(1)),
            execution: ExecutionId(Uuid::from_u128(2)),
            decision: DecisionId(Uuid::from_u128(2)),
            version: VersionId([3; 32]),
            propensity: Probability::new(0.25).unwrap(),
            origin: Origin::Replay,
            epoch: 4,
            policy_revision: 5,
            issued_at: Timestamp(6),
            expires_at: Timestamp(100),
        }
    }

    #[test]
    fn a_token_opens_for_its_organisation_until_it_expires() {
        let ring = Keyring::generate().unwrap();
        let organisation = OrganisationId(Uuid::from_u128(9));
        let text = token().seal(&ring, organisation).unwrap();
        assert!(text.len() < 220, "{}", text.len());
        assert_eq!(Token::open(&text, &ring, organisation, Timestamp(99)), Ok(token()));
        assert_eq!(Token::open(&text, &ring, organisation, Timestamp(100)), Err(TokenError::Expired));
        let other = OrganisationId(Uuid::from_u128(8));
        assert_eq!(Token::open(&text, &ring, other, Timestamp(0)), Err(TokenError::Invalid));
    }

    #[test]
    fn a_shadows_token_says_of_which_rollout_it_is() {
        let ring = Keyring::generate().unwrap();
        let organisation = OrganisationId(Uuid::from_u128(9));
        let token = Token {
            token_use: TokenUse::Shadow(RolloutId(Uuid::from_u128(10))),
            origin: Origin::Shadow,
            ..token()
        };
        let text = token.seal(&ring, organisation).unwrap();
        assert_eq!(Token::open(&text, &ring, organisation, Timestamp(0)), Ok(token));
    }

    #[test]
    fn every_altered_token_is_refused() {
        let ring = Keyring::generate().unwrap();
        let organisation = OrganisationId(Uuid::from_u128(9));
        let bytes = URL_SAFE_NO_PAD.decode(token().seal(&ring, organisation).unwrap()).unwrap();
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            let text = URL_SAFE_NO_PAD.encode(altered);
            assert_eq!(
                Token::open(&text, &ring, organisation, Timestamp(0)),
                Err(TokenError::Invalid),
                "byte {index}"
            );
        }
        for text in ["", "x", "AAAA", "%"] {
            assert_eq!(Token::open(text, &ring, organisation, Timestamp(0)), Err(TokenError::Invalid));
        }
    }
}

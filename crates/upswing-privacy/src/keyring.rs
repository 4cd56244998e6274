//! The master key, outside of the database: key ids, rotation, and everything that derives from it.

use upswing_domain::{InputHash, OrganisationId, Pseudonym};

/// A keyed hash of what a client sent, with the id of the key it was made with.
pub type Fingerprint = [u8; 18];

/// Master keys, the current one first. Older ones stay so that what they made can still be recognised.
///
/// As text: one key a line, `<id>:<64 hexadecimal characters>`. Rotation is a new first line.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<MasterKey>,
}

#[derive(Clone)]
struct MasterKey {
    id: u16,
    fingerprint: [u8; 32],
    pseudonym: [u8; 32],
    content: [u8; 32],
    audit: [u8; 32],
    sketch: [u8; 32],
    input: [u8; 32],
    api_key: [u8; 32],
    token: [u8; 32],
    check: [u8; 32],
    text: String,
}

/// Why a keyring could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The text has no key.
    #[error(
        "the master key is empty: put a line '<id>:<64 hexadecimal characters>' there, or remove the file to have one made"
    )]
    Empty,
    /// A line is not a key.
    #[error(
        "line {line} of the master key is not '<id>:<64 hexadecimal characters>' with an id from 0 to 65535"
    )]
    Malformed {
        /// Which line, from 1.
        line: usize,
    },
    /// Two lines have the same id.
    #[error("the master key names id {id} twice")]
    Repeated {
        /// The id.
        id: u16,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness: {0}")]
    Randomness(String),
}

impl Keyring {
    /// A ring with one fresh key of id 1.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self, KeyringError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|e| KeyringError::Randomness(e.to_string()))?;
        Ok(Self { keys: vec![MasterKey::new(1, &secret)] })
    }

    /// Reads a ring.
    ///
    /// # Errors
    /// When the text holds no key, a malformed one, or an id twice.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed = KeyringError::Malformed { line: index + 1 };
            let parsed = line.split_once(':').and_then(|(id, secret)| {
                let secret = blake3::Hash::from_hex(secret.trim()).ok()?;
                Some((id.trim().parse::<u16>().ok()?, *secret.as_bytes()))
            });
            let Some((id, secret)) = parsed else { return Err(malformed) };
            if keys.iter().any(|k| k.id == id) {
                return Err(KeyringError::Repeated { id });
            }
            keys.push(MasterKey::new(id, &secret));
        }
        if keys.is_empty() { Err(KeyringError::Empty) } else { Ok(Self { keys }) }
    }

    /// The ring as text. Secret.
    pub fn to_text(&self) -> String {
        self.keys.iter().map(|k| format!("{}\n", k.text)).collect()
    }

    /// What a database remembers of a ring, to notice that it was opened with another one: key ids with a hash.
    pub fn checks(&self) -> Vec<(u16, [u8; 32])> {
        self.keys.iter().map(|k| (k.id, k.check)).collect()
    }

    /// A person or unit as a pseudonym of this organisation, made with the current key.
    pub fn pseudonym(&self, organisation: OrganisationId, identity: &str) -> Pseudonym {
        let key = self.current();
        Pseudonym(keyed(key.id, &key.pseudonym, organisation, identity.as_bytes()))
    }

    /// The pseudonyms that an identity may stand under: one for each key of the ring, the current one first.
    pub fn pseudonyms(&self, organisation: OrganisationId, identity: &str) -> Vec<Pseudonym> {
        let one = |k: &MasterKey| Pseudonym(keyed(k.id, &k.pseudonym, organisation, identity.as_bytes()));
        self.keys.iter().map(one).collect()
    }

    /// The name under which content is stored: equal content of one organisation has one name.
    pub fn content_hash(&self, organisation: OrganisationId, content: &[u8]) -> Fingerprint {
        let key = self.current();
        keyed(key.id, &key.content, organisation, content)
    }

    /// What chains the lines of an organisation's audit log: a keyed hash of a line with what came before it, made with the
    /// key of that id or, without an id, the current one; with the id of the key. `None` when the ring has no such key.
    pub fn audit_seal(
        &self,
        organisation: OrganisationId,
        id: Option<u16>,
        line: &[u8],
    ) -> Option<(u16, [u8; 32])> {
        let key = match id {
            Some(id) => self.keys.iter().find(|key| key.id == id)?,
            None => self.current(),
        };
        let mut hasher = blake3::Hasher::new_keyed(&key.audit);
        hasher.update(organisation.0.as_bytes()).update(line);
        Some((key.id, *hasher.finalize().as_bytes()))
    }

    /// What sketches of texts are hashed with, so that they say nothing outside of their organisation.
    pub fn sketch_key(&self, organisation: OrganisationId) -> [u8; 32] {
        *blake3::keyed_hash(&self.current().sketch, organisation.0.as_bytes()).as_bytes()
    }

    /// What an input is recognised by where it is not kept itself: equal inputs of one organisation, under one name, have
    /// one hash. Keyed, because a plain hash of what somebody else may have, an advertisement or a person's papers, is
    /// found by hashing guesses.
    pub fn input_hash(&self, organisation: OrganisationId, name: &str, input: &[u8]) -> InputHash {
        let key = self.current();
        let mut hasher = blake3::Hasher::new_keyed(&key.input);
        // No name has a zero byte: where it ends is certain.
        hasher.update(organisation.0.as_bytes()).update(name.as_bytes()).update(&[0]).update(input);
        let mut out = [0; 32];
        out[..2].copy_from_slice(&key.id.to_be_bytes());
        out[2..].copy_from_slice(&hasher.finalize().as_bytes()[..30]);
        InputHash(out)
    }

    /// Fingerprints of a client's canonical fields, the one to store first, then one for each older key.
    pub fn fingerprints(&self, organisation: OrganisationId, canonical: &[u8]) -> Vec<Fingerprint> {
        self.keys.iter().map(|k| keyed(k.id, &k.fingerprint, organisation, canonical)).collect()
    }

    /// Hashes under which an API key may be stored, the current key's first.
    pub fn api_key_hashes(&self, secret: &str) -> Vec<[u8; 32]> {
        self.keys.iter().map(|k| *blake3::keyed_hash(&k.api_key, secret.as_bytes()).as_bytes()).collect()
    }

    pub(crate) fn token_key(&self, id: u16, organisation: OrganisationId) -> Option<[u8; 32]> {
        let key = self.keys.iter().find(|k| k.id == id)?;
        Some(*blake3::keyed_hash(&key.token, organisation.0.as_bytes()).as_bytes())
    }

    pub(crate) fn current_id(&self) -> u16 {
        self.current().id
    }

    fn current(&self) -> &MasterKey {
        &self.keys[0]
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("ids", &self.keys.iter().map(|k| k.id).collect::<Vec<_>>()).finish()
    }
}

impl MasterKey {
    fn new(id: u16, secret: &[u8; 32]) -> Self {
        let derive = |purpose: &str| blake3::derive_key(purpose, secret);
        Self {
            id,
            fingerprint: derive("upswing 2026 fingerprint"),
            pseudonym: derive("upswing 2026 pseudonym"),
            content: derive("upswing 2026 content"),
            audit: derive("upswing 2026 audit"),
            sketch: derive("upswing 2026 sketch"),
            input: derive("upswing 2026 input"),
            api_key: derive("upswing 2026 api key"),
            token: derive("upswing 2026 token"),
            check: derive("upswing 2026 check"),
            text: format!("{id}:{}", blake3::Hash::from_bytes(*secret).to_hex()),
        }
    }
}

fn keyed(id: u16, key: &[u8; 32], organisation: OrganisationId, content: &[u8]) -> [u8; 18] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(organisation.0.as_bytes()).update(content);
    let mut out = [0; 18];
    out[..2].copy_from_slice(&id.to_be_bytes());
    out[2..].copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_rotated_ring_recognises_what_the_old_key_made() {
        let old = Keyring::generate().unwrap();
        let fresh = Keyring::generate().unwrap().to_text().replacen("1:", "2:", 1);
        let rotated = Keyring::parse(&format!("{fresh}{}", old.to_text())).unwrap();
        let organisation = OrganisationId(Uuid::from_u128(7));
        assert!(rotated.fingerprints(organisation, b"x").contains(&old.fingerprints(organisation, b"x")[0]));
        assert_ne!(rotated.fingerprints(organisation, b"x")[0], old.fingerprints(organisation, b"x")[0]);
        assert!(rotated.api_key_hashes("k").contains(&old.api_key_hashes("k")[0]));
        assert!(rotated.pseudonyms(organisation, "p").contains(&old.pseudonym(organisation, "p")));
    }

    #[test]
    fn a_seal_is_of_its_key_and_organisation() {
        let old = Keyring::generate().unwrap();
        let fresh = Keyring::generate().unwrap().to_text().replacen("1:", "2:", 1);
        let rotated = Keyring::parse(&format!("{fresh}{}", old.to_text())).unwrap();
        let of = |n| OrganisationId(Uuid::from_u128(n));
        let seal = old.audit_seal(of(7), None, b"line");
        assert_eq!(seal.map(|(id, _)| id), Some(1));
        assert_eq!(rotated.audit_seal(of(7), Some(1), b"line"), seal);
        assert_eq!(rotated.audit_seal(of(7), None, b"line").map(|(id, _)| id), Some(2));
        assert_ne!(old.audit_seal(of(8), None, b"line"), seal);
        assert_eq!(old.audit_seal(of(7), Some(2), b"line"), None);
    }

    #[test]
    fn organisations_do_not_share_pseudonyms() {
        let ring = Keyring::generate().unwrap();
        let of = |n| ring.pseudonym(OrganisationId(Uuid::from_u128(n)), "ada");
        assert_ne!(of(1), of(2));
        assert_eq!(of(1), of(1));
    }

    #[test]
    fn an_input_is_recognised_within_its_organisation_and_name() {
        let ring = Keyring::generate().unwrap();
        let of = |n, name, input: &str| {
            ring.input_hash(OrganisationId(Uuid::from_u128(n)), name, input.as_bytes()).to_string()
        };
        let hash = of(1, "input_resume", "x");
        assert_eq!(hash.len(), 64);
        assert_eq!(hash, of(1, "input_resume", "x"));
        for other in [of(2, "input_resume", "x"), of(1, "job_description", "x"), of(1, "input_resume", "y")] {
            assert_ne!(hash, other);
        }
        let another = Keyring::generate().unwrap();
        let elsewhere = another.input_hash(OrganisationId(Uuid::from_u128(1)), "input_resume", b"x");
        assert_ne!(hash, elsewhere.to_string(), "without the key nobody can try guesses");
    }

    #[test]
    fn a_malformed_ring_is_refused_with_its_line() {
        assert!(matches!(Keyring::parse(""), Err(KeyringError::Empty)));
        assert!(matches!(Keyring::parse("\n1:zz"), Err(KeyringError::Malformed { line: 2 })));
        let text = Keyring::generate().unwrap().to_text();
        assert!(matches!(Keyring::parse(&format!("{text}{text}")), Err(KeyringError::Repeated { id: 1 })));
        assert!(!format!("{:?}", Keyring::parse(&text).unwrap()).contains(&text[2..10]));
    }
}

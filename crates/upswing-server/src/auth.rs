//! Who calls: keys, looked up by keyed hash, remembered for a second.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use upswing_domain::{KeyId, OrganisationId, Permission, Timestamp};
use upswing_privacy::ApiKeySecret;
use upswing_store::{Actor, ApiKey, StoreError};

use crate::app::App;
use crate::problem::{Code, Problem};

/// After this long a remembered key is looked up again: the bound within which a revocation on another server is seen.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// While the database cannot be reached, known keys stay good for so long: deciding goes on from memory.
const GOOD_WITHOUT_DATABASE_FOR: Duration = Duration::from_secs(60);
/// How many keys are remembered; beyond, the memory starts anew.
const REMEMBERED: usize = 16_384;
const SHARDS: usize = 16;

/// Who makes a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The key used.
    pub(crate) key: Arc<ApiKey>,
    /// The request.
    pub(crate) request_id: Arc<str>,
}

impl Caller {
    /// Whose data this is about.
    pub(crate) fn organisation(&self) -> OrganisationId {
        self.key.organisation
    }

    /// Whether the key's role allows it.
    pub(crate) fn can(&self, permission: Permission) -> bool {
        self.key.role.can(permission)
    }

    /// The caller, for the audit log.
    pub(crate) fn actor(&self, now: Timestamp) -> Actor {
        Actor {
            organisation: self.key.organisation,
            key: Some(self.key.id),
            now,
            request: Some(self.request_id.to_string()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.remove::<Self>().ok_or_else(|| Problem::internal("a public route asked who calls"))
    }
}

/// What was found out about a presented key.
#[derive(Debug, Clone)]
struct Remembered {
    /// `None`: there is no such key.
    key: Option<Arc<ApiKey>>,
    /// When the database said so.
    confirmed: Instant,
    /// When somebody last set out to ask it again.
    asked: Instant,
}

/// The memory of keys, and the origins that publishable keys declare.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    shards: [Mutex<HashMap<[u8; 32], Remembered>>; SHARDS],
    /// Moves whenever something is forgotten, so that an older lookup is not remembered afterwards.
    generation: AtomicU64,
    origins: ArcSwap<HashMap<OrganisationId, HashSet<String>>>,
}

impl Keys {
    /// Forgets a key that was revoked here.
    pub(crate) fn forget(&self, id: KeyId) {
        self.forget_if(|key| key.id == id);
    }

    /// Forgets the keys of an organisation in which something has changed.
    pub(crate) fn forget_organisation(&self, organisation: OrganisationId) {
        self.forget_if(|key| key.organisation == organisation);
    }

    fn forget_if(&self, condition: impl Fn(&ApiKey) -> bool) {
        self.generation.fetch_add(1, SeqCst);
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            // Keys that did not exist may exist now.
            shard.retain(|_, known| known.key.as_ref().is_some_and(|key| !condition(key)));
        }
    }

    /// Notes which origins an organisation's publishable keys declare.
    pub(crate) fn set_origins(&self, organisation: OrganisationId, origins: HashSet<String>) {
        self.origins.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(organisation, origins.clone());
            all
        });
    }

    /// Whether any publishable key declares the origin.
    pub(crate) fn declares_origin(&self, origin: &str) -> bool {
        self.origins.load().values().any(|origins| origins.contains(origin))
    }

    fn shard(&self, hash: &[u8; 32]) -> &Mutex<HashMap<[u8; 32], Remembered>> {
        &self.shards[usize::from(hash[0]) % SHARDS]
    }

    /// What is known of a key, and whether the caller is the one to ask again: one request a second does, the others go on.
    fn recall(&self, hash: &[u8; 32]) -> Option<(Remembered, bool)> {
        let mut shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        let known = shard.get_mut(hash)?;
        let stale = known.asked.elapsed() >= FRESH_FOR;
        if stale {
            known.asked = Instant::now();
        }
        Some((known.clone(), stale))
    }

    fn remember(&self, hash: [u8; 32], key: Option<Arc<ApiKey>>, generation: u64) {
        let mut shard = self.shard(&hash).lock().unwrap_or_else(PoisonError::into_inner);
        if self.generation.load(SeqCst) != generation {
            return;
        }
        if shard.len() >= REMEMBERED / SHARDS {
            shard.clear();
        }
        let now = Instant::now();
        shard.insert(hash, Remembered { key, confirmed: now, asked: now });
    }
}

/// Finds out who calls and whether the permission is theirs.
///
/// # Errors
/// With the code for what is wrong with the key.
pub(crate) async fn authorise(
    app: &App,
    headers: &HeaderMap,
    permission: Permission,
) -> Result<Arc<ApiKey>, Problem> {
    let presented = presented(headers)?;
    if ApiKeySecret::kind_of(presented).is_none() {
        return Err(Problem::new(
            Code::KeyMalformed,
            "a key begins with up_sk_ or up_pk_, followed by 43 characters",
        ));
    }
    let key = look_up(app, presented).await?;
    let Some(key) = key else { return Err(Problem::new(Code::KeyUnknown, "there is no such key here")) };
    if key.revoked_at.is_some() {
        return Err(Problem::new(Code::KeyRevoked, "the key has been revoked"));
    }
    if key.expires_at.is_some_and(|end| app.now() >= end) {
        return Err(Problem::new(Code::KeyExpired, "the key has expired"));
    }
    if !key.role.can(permission) {
        let detail = format!("a key of role {} may not {}", key.role.name(), in_words(permission));
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(key)
}

fn presented(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || {
        Problem::new(
            Code::KeyMissing,
            "send the header Authorization with Bearer and a key; keys begin with up_sk_",
        )
    };
    let malformed = || {
        Problem::new(
            Code::KeyMalformed,
            "the header Authorization must be Bearer and a key; keys begin with up_sk_",
        )
    };
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| malformed())?;
    let (scheme, key) = value.split_once(' ').ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(key.trim()) } else { Err(malformed()) }
}

async fn look_up(app: &App, presented: &str) -> Result<Option<Arc<ApiKey>>, Problem> {
    let hashes = app.keyring.api_key_hashes(presented);
    let Some(name) = hashes.first().copied() else { return Ok(None) };
    let known = app.keys.recall(&name);
    if let Some((known, false)) = &known {
        return Ok(known.key.clone());
    }
    let generation = app.keys.generation.load(SeqCst);
    match app.store.key_by_hash(hashes).await {
        Ok(found) => {
            let found = found.map(Arc::new);
            app.keys.remember(name, found.clone(), generation);
            Ok(found)
        }
        Err(error @ StoreError::Unavailable(_)) => match known {
            Some((known, _)) if known.confirmed.elapsed() < GOOD_WITHOUT_DATABASE_FOR => Ok(known.key),
            _ => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn in_words(permission: Permission) -> &'static str {
    match permission {
        Permission::Public => "do this",
        Permission::GiveFeedback => "give feedback",
        Permission::Decide => "ask for decisions",
        Permission::ReportExecutions => "report executions",
        Permission::Read => "read",
        Permission::ReadContent => "read what people wrote, or export",
        Permission::Approve => "approve versions",
        Permission::ManageAgents => "change agents and versions",
        Permission::ManageKeys => "manage keys or read the audit log",
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(id: u128) -> Arc<ApiKey> {
        Arc::new(ApiKey {
            id: KeyId(Uuid::from_u128(id)),
            organisation: OrganisationId(Uuid::from_u128(9)),
            name: String::new(),
            role: upswing_domain::Role::Member,
            hint: String::new(),
            origins: Vec::new(),
            created_at: Timestamp(0),
            expires_at: None,
            revoked_at: None,
        })
    }

    #[test]
    fn a_lookup_that_began_before_a_revocation_is_not_remembered() {
        let keys = Keys::default();
        let before = keys.generation.load(SeqCst);
        keys.forget(key(1).id);
        keys.remember([1; 32], Some(key(1)), before);
        assert!(keys.recall(&[1; 32]).is_none());
        keys.remember([1; 32], Some(key(1)), keys.generation.load(SeqCst));
        assert!(keys.recall(&[1; 32]).is_some());
        keys.forget(key(1).id);
        assert!(keys.recall(&[1; 32]).is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let keys = Keys::default();
        for n in 0..100_000_u32 {
            keys.remember(*blake3::hash(&n.to_le_bytes()).as_bytes(), None, 0);
        }
        let total: usize = keys.shards.iter().map(|s| s.lock().unwrap().len()).sum();
        assert!(total <= REMEMBERED, "{total}");
    }
}

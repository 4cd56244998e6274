//! Organisations and keys, straight in the database: what has to work before there is a key to call the API with.

use std::sync::Arc;

use upswing_domain::{KeyId, OrganisationId, Role, Timestamp};
use upswing_privacy::{ApiKeyKind, ApiKeySecret, Keyring};
use upswing_store::{Actor, ApiKey, AuditVerdict, Organisation, Store, StoreError, StoreOptions};
use uuid::Uuid;

use crate::config::Settings;
use crate::failure::Failure;
use crate::master_key;

/// How many writes may wait: an administrator does one at a time.
const QUEUE: usize = 16;

/// A key that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    /// For people.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) role: Role,
    /// For publishable keys: the origins of pages.
    pub(crate) origins: Vec<String>,
    /// When it ends.
    pub(crate) expires_at: Option<Timestamp>,
}

/// The database with its master key, opened for administration.
pub(crate) struct Admin {
    store: Store,
    keyring: Arc<Keyring>,
    now: Timestamp,
}

impl Admin {
    /// Opens the database; makes it, with its master key, when it is not there.
    pub(crate) async fn open(settings: &Settings, now: Timestamp) -> Result<Self, Failure> {
        let keyring = Arc::new(master_key::keyring(settings)?);
        let options = StoreOptions {
            url: settings.database_url.clone(),
            queue_capacity: QUEUE,
            readers: 1,
            key_checks: keyring.checks(),
            consent: Default::default(),
            content_hash: Arc::new({
                let keyring = Arc::clone(&keyring);
                move |organisation, content| keyring.content_hash(organisation, content)
            }),
            audit_seal: Arc::new({
                let keyring = Arc::clone(&keyring);
                move |organisation, id, line| keyring.audit_seal(organisation, id, line)
            }),
        };
        let store = Store::open(options).await.map_err(failure)?;
        Ok(Self { store, keyring, now })
    }

    /// Lets go of the database.
    pub(crate) async fn close(self) {
        self.store.close().await;
    }

    /// All organisations, oldest first.
    pub(crate) async fn organisations(&self) -> Result<Vec<Organisation>, Failure> {
        self.store.organisations().await.map_err(failure)
    }

    /// The organisation of that name; without a name the only one.
    pub(crate) async fn organisation(&self, name: Option<&str>) -> Result<Organisation, Failure> {
        let all = self.organisations().await?;
        let names = || all.iter().map(|o| format!("'{}'", o.name)).collect::<Vec<_>>().join(", ");
        match (name, all.as_slice()) {
            (_, []) => {
                Err(Failure::new("there is no organisation yet").hint("make the first one: upswing init"))
            }
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(Failure::new(format!("there are several organisations: {}", names()))
                .hint("say which with --organisation NAME")),
            (Some(name), all) => all.iter().find(|o| o.name == name).cloned().ok_or_else(|| {
                Failure::new(format!("there is no organisation '{name}'"))
                    .hint(format!("there are {}", names()))
            }),
        }
    }

    /// Makes an organisation.
    pub(crate) async fn create_organisation(&self, name: &str) -> Result<Organisation, Failure> {
        let id = OrganisationId(Uuid::now_v7());
        self.store.create_organisation(id, name.to_owned(), self.now).await.map_err(failure)
    }

    /// Makes a key. Its secret is known only now.
    pub(crate) async fn create_key(
        &self,
        organisation: OrganisationId,
        new: NewKey,
    ) -> Result<(ApiKey, ApiKeySecret), Failure> {
        let kind = if new.role == Role::Publishable { ApiKeyKind::Publishable } else { ApiKeyKind::Secret };
        let secret = ApiKeySecret::generate(kind).map_err(|error| Failure::new(error.to_string()))?;
        let [hash, ..] = self.keyring.api_key_hashes(secret.expose())[..] else {
            return Err(Failure::new("the master key is empty"));
        };
        let key = ApiKey {
            id: KeyId(Uuid::now_v7()),
            organisation,
            name: new.name,
            role: new.role,
            hint: secret.hint().to_owned(),
            origins: new.origins,
            created_at: self.now,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let key = self.store.create_key(self.actor(organisation), key, hash).await.map_err(failure)?;
        Ok((key, secret))
    }

    /// An organisation's keys.
    pub(crate) async fn keys(&self, organisation: OrganisationId) -> Result<Vec<ApiKey>, Failure> {
        self.store.keys(organisation).await.map_err(failure)
    }

    /// Ends a key.
    pub(crate) async fn revoke(&self, organisation: OrganisationId, key: KeyId) -> Result<ApiKey, Failure> {
        self.store.revoke_key(self.actor(organisation), key).await.map_err(|error| match error {
            StoreError::NotFound { .. } => failure(error).hint("see which keys there are: upswing keys list"),
            error => failure(error),
        })
    }

    /// Walks an organisation's audit log.
    pub(crate) async fn verify_audit(
        &self,
        organisation: OrganisationId,
        expected: Option<[u8; 32]>,
    ) -> Result<AuditVerdict, Failure> {
        self.store.verify_audit(organisation, expected).await.map_err(failure)
    }

    fn actor(&self, organisation: OrganisationId) -> Actor {
        Actor { organisation, key: None, now: self.now, request: None }
    }
}

fn failure(error: StoreError) -> Failure {
    Failure::new(error.to_string())
}

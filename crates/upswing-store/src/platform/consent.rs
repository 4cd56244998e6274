//! What people agreed to, version by version.

use serde_json::json;
use upswing_domain::{Consent, OrganisationId, Pseudonym, Purpose};

use super::audit;
use crate::collect::rows;
use crate::engine::Connection;
use crate::{Actor, StoreError};

/// Records a decision. Saying again what holds already changes nothing; gives what holds afterwards.
pub(crate) async fn decide(
    connection: &mut Connection,
    actor: &Actor,
    subject: Pseudonym,
    purpose: Purpose,
    granted: bool,
    policy: &str,
) -> Result<Consent, StoreError> {
    let latest = of_person(connection, actor.organisation, subject).await?;
    let latest = latest.into_iter().rfind(|consent| consent.purpose == purpose);
    if let Some(latest) = &latest
        && latest.granted == granted
        && latest.policy == policy
    {
        return Ok(latest.clone());
    }
    let consent = Consent {
        subject,
        purpose,
        version: latest.map_or(1, |latest| latest.version + 1),
        granted,
        policy: policy.to_owned(),
        recorded_at: actor.now,
    };
    let sql = "INSERT INTO consent (organisation, subject, purpose, version, granted, policy, recorded_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = vec![
        actor.organisation.into(),
        subject.into(),
        purpose.name().into(),
        consent.version.into(),
        granted.into(),
        policy.into(),
        actor.now.into(),
    ];
    connection.execute(sql, values).await?;
    let details =
        json!({"purpose": purpose.name(), "version": consent.version, "granted": granted, "policy": policy});
    audit::record(connection, actor, "consent.decide", subject, details).await?;
    Ok(consent)
}

/// All decisions of a person, oldest first.
pub(crate) async fn of_person(
    connection: &mut Connection,
    organisation: OrganisationId,
    subject: Pseudonym,
) -> Result<Vec<Consent>, StoreError> {
    let sql = "SELECT purpose, version, granted, policy, recorded_at FROM consent \
               WHERE organisation = $1 AND subject = $2 ORDER BY purpose, version";
    let mut consents = Vec::new();
    for mut row in connection.query(sql, vec![organisation.into(), subject.into()]).await? {
        consents.push(Consent {
            subject,
            purpose: rows::named("purpose", &row.take::<String>()?, Purpose::named)?,
            version: row.take()?,
            granted: row.take()?,
            policy: row.take()?,
            recorded_at: row.take()?,
        });
    }
    Ok(consents)
}

//! What somebody with the database, and without the master key, can do to the audit log, and that it is found.

use upswing_store::{AuditBreak, AuditFault, AuditVerdict, StoreError};

use crate::support::{Database, World, actor, on_both, options, tamper};

/// A world whose log has nine lines: the organisation, the agent, two versions, five policies.
async fn world(database: &Database) -> World {
    let world = World::new(database).await;
    for _ in 0..5 {
        set_policy(&world).await;
    }
    world
}

async fn set_policy(world: &World) {
    let policy = upswing_domain::PolicyConfig::default();
    world.store.set_policy(actor(world.organisation), world.agent, policy).await.unwrap();
}

async fn verdict(world: &World) -> AuditVerdict {
    world.store.verify_audit(world.organisation, None).await.unwrap()
}

fn broken(sequence: i64, fault: AuditFault) -> Option<AuditBreak> {
    Some(AuditBreak { sequence, fault })
}

fn exchange(columns: &[&str], one: i64, other: i64) -> String {
    let of = |column: &str, sequence: i64| format!("(SELECT {column} FROM kept WHERE sequence = {sequence})");
    // Out of the copy: a statement may see what it has written already.
    let cases = columns
        .iter()
        .map(|c| format!("{c} = CASE sequence WHEN {one} THEN {} ELSE {} END", of(c, other), of(c, one)));
    format!(
        "UPDATE audit_entry SET {} WHERE sequence IN ({one}, {other})",
        cases.collect::<Vec<_>>().join(", ")
    )
}

#[tokio::test]
async fn a_log_that_nobody_touched_holds_and_its_head_moves() {
    on_both("a_log_that_nobody_touched_holds_and_its_head_moves", |database| async move {
        let world = world(&database).await;
        let before = verdict(&world).await;
        assert_eq!((before.chained, before.unchained, before.broken), (9, 0, None));
        let head = before.head.unwrap();
        assert_eq!(head.sequence, 9);
        assert_eq!(world.store.audit_head(world.organisation).await.unwrap(), Some(head));
        set_policy(&world).await;
        let later = world.store.verify_audit(world.organisation, Some(head.hash)).await.unwrap();
        assert_eq!((later.broken, later.expected_at), (None, Some(9)), "a head that was kept is found again");
        assert_ne!(later.head.unwrap().hash, head.hash);
        let unknown = upswing_domain::OrganisationId(uuid::Uuid::nil());
        let error = world.store.verify_audit(unknown, None).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn every_change_of_the_log_is_found_at_its_line() {
    let content = ["at", "api_key", "action", "subject", "details", "request"];
    let moved = [&content[..], &["chain", "chain_key"]].concat();
    let cases = [
        ("UPDATE audit_entry SET details = '{\"policy\":1}' WHERE sequence = 6".to_owned(), 6, AuditFault::Edited),
        ("UPDATE audit_entry SET at = at + 1 WHERE sequence = 1".to_owned(), 1, AuditFault::Edited),
        ("UPDATE audit_entry SET request = NULL WHERE sequence = 9".to_owned(), 9, AuditFault::Edited),
        ("UPDATE audit_entry SET action = 'version.add' WHERE sequence = 2".to_owned(), 2, AuditFault::Edited),
        (exchange(&["chain"], 5, 6), 5, AuditFault::Swapped { with: 6 }),
        ("DELETE FROM audit_entry WHERE sequence = 5".to_owned(), 5, AuditFault::Deleted),
        ("DELETE FROM audit_entry WHERE sequence IN (1, 2)".to_owned(), 1, AuditFault::Deleted),
        // Numbered anew, so that no number is missing.
        (
            "DELETE FROM audit_entry WHERE sequence = 8; UPDATE audit_entry SET sequence = 8 WHERE sequence = 9; \
             UPDATE organisation SET revision = 8"
                .to_owned(),
            8,
            AuditFault::Edited,
        ),
        (exchange(&content, 2, 4), 2, AuditFault::Swapped { with: 4 }),
        (exchange(&moved, 2, 4), 2, AuditFault::Swapped { with: 4 }),
        (exchange(&moved, 3, 4), 3, AuditFault::Swapped { with: 4 }),
        ("DELETE FROM audit_entry WHERE sequence > 7".to_owned(), 8, AuditFault::Cut),
        ("DELETE FROM audit_entry".to_owned(), 1, AuditFault::Cut),
        ("UPDATE audit_entry SET chain = NULL WHERE sequence = 5".to_owned(), 5, AuditFault::Unchained),
        ("UPDATE audit_entry SET chain = NULL".to_owned(), 1, AuditFault::Unchained),
        ("UPDATE audit_entry SET chain = NULL WHERE sequence < 4".to_owned(), 4, AuditFault::Edited),
        ("UPDATE audit_entry SET chain_key = 9 WHERE sequence = 5".to_owned(), 5, AuditFault::KeyUnknown { key: 9 }),
    ];
    on_both("every_change_of_the_log_is_found_at_its_line", |database| {
        let cases = cases.clone();
        async move {
            let world = world(&database).await;
            let keep = "CREATE TABLE kept AS SELECT * FROM audit_entry; \
                        CREATE TABLE kept_revision AS SELECT revision FROM organisation";
            tamper(&database, keep).await;
            for (sql, sequence, fault) in cases {
                tamper(&database, &sql).await;
                assert_eq!(verdict(&world).await.broken, broken(sequence, fault), "{sql}");
                let back = "DELETE FROM audit_entry; INSERT INTO audit_entry SELECT * FROM kept; \
                            UPDATE organisation SET revision = (SELECT revision FROM kept_revision)";
                tamper(&database, back).await;
                assert_eq!(verdict(&world).await.broken, None, "put back after {sql}");
            }
            world.store.close().await;
            database
        }
    })
    .await;
}

#[tokio::test]
async fn a_tail_that_was_cut_off_and_written_anew_is_missed_by_who_kept_the_head() {
    on_both("a_tail_that_was_cut_off_and_written_anew_is_missed", |database| async move {
        let world = world(&database).await;
        let head = verdict(&world).await.head.unwrap();
        let cut = "DELETE FROM audit_entry WHERE sequence > 6; UPDATE organisation SET revision = 6";
        tamper(&database, cut).await;
        set_policy(&world).await;
        let alone = verdict(&world).await;
        assert_eq!((alone.chained, alone.broken), (7, None), "nothing within the log tells");
        let asked = world.store.verify_audit(world.organisation, Some(head.hash)).await.unwrap();
        assert_eq!(asked.broken, broken(8, AuditFault::HeadMissing));
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn lines_from_before_the_chain_are_counted_apart() {
    on_both("lines_from_before_the_chain_are_counted_apart", |database| async move {
        let world = world(&database).await;
        // As an older program left it.
        tamper(&database, "UPDATE audit_entry SET chain = NULL, chain_key = NULL").await;
        assert_eq!(world.store.audit_head(world.organisation).await.unwrap(), None);
        set_policy(&world).await;
        let verdict = verdict(&world).await;
        assert_eq!((verdict.unchained, verdict.chained, verdict.broken), (9, 1, None));
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn without_the_key_nobody_can_chain_or_verify() {
    on_both("without_the_key_nobody_can_chain_or_verify", |database| async move {
        let world = world(&database).await;
        world.store.close().await;
        let mut other = options(&database.url);
        other.audit_seal = std::sync::Arc::new(|_, _, _| None);
        let store = upswing_store::Store::open(other).await.unwrap();
        let verdict = store.verify_audit(world.organisation, None).await.unwrap();
        assert_eq!(verdict.broken, broken(1, AuditFault::KeyUnknown { key: 1 }));
        let policy = upswing_domain::PolicyConfig::default();
        let error = store.set_policy(actor(world.organisation), world.agent, policy).await.unwrap_err();
        assert!(matches!(error, StoreError::Configuration(_)), "{error}");
        store.close().await;
        database
    })
    .await;
}

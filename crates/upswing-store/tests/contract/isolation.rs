//! PostgreSQL's row security: what holds when the application's own filter is gone.

use crate::support::{Database, World, connect, execution, skipped};

#[tokio::test]
async fn every_table_with_an_organisation_forces_row_security_and_fails_closed() {
    let name = "every_table_with_an_organisation_forces_row_security_and_fails_closed";
    let Some(database) = Database::postgres().await else {
        return skipped(name, "no PostgreSQL: set DATABASE_URL, or run scripts/postgres start");
    };
    let world = World::new(&database).await;
    let other = World::within(world.store.clone()).await;
    for world in [&world, &other] {
        world.write(vec![execution(world.execution(1))]).await;
    }
    let client = connect(&database.url).await;
    // From the catalogue: a table that is added later is in here without being named.
    let rows = client
        .query(
            "SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema() \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organisation' AND NOT a.attisdropped \
             WHERE c.relkind IN ('r', 'p')",
            &[],
        )
        .await
        .unwrap();
    let tables: Vec<(String, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(tables.len() >= 15, "{tables:?}");
    assert!(tables.iter().all(|(_, forced)| *forced), "{tables:?}");

    client.batch_execute("SET ROLE upswing_app").await.unwrap();
    let count = async |table: &str| -> i64 {
        client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
    };
    // No organisation set: nothing is seen, and nothing can be written.
    for (table, _) in &tables {
        assert_eq!(count(table).await, 0, "{table} without an organisation");
    }
    let insert = format!("INSERT INTO stream_head VALUES ('{}', 0)", uuid::Uuid::now_v7());
    assert!(client.batch_execute(&insert).await.is_err());
    // One set: its rows alone, though no statement says which.
    client
        .batch_execute(&format!(
            "BEGIN; SELECT set_config('upswing.organisations', '{}', true)",
            world.organisation
        ))
        .await
        .unwrap();
    for table in ["execution", "stream_head", "agent", "audit_entry"] {
        let foreign = format!("SELECT count(*) FROM {table} WHERE organisation <> '{}'", world.organisation);
        let foreign: i64 = client.query_one(&foreign, &[]).await.unwrap().get(0);
        assert_eq!(foreign, 0, "{table}");
        assert!(count(table).await > 0, "{table}");
    }
    let changed = client.execute("UPDATE stream_head SET position = 0", &[]).await.unwrap();
    assert_eq!(changed, 1, "an update without a filter reaches its own organisation alone");
    let steal = format!("UPDATE execution SET organisation = '{}'", other.organisation);
    assert!(client.batch_execute(&steal).await.is_err(), "a row cannot be moved to another organisation");
    client.batch_execute("ROLLBACK").await.unwrap();
    // The setting ended with its transaction.
    assert_eq!(count("execution").await, 0);
    world.store.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_role_that_bypasses_row_security_is_refused() {
    let name = "a_role_that_bypasses_row_security_is_refused";
    let Some(database) = Database::postgres().await else {
        return skipped(name, "no PostgreSQL: set DATABASE_URL, or run scripts/postgres start");
    };
    let client = connect(&database.url).await;
    // The role is the cluster's: a role of another name stands in for it, so that other tests are not disturbed.
    let privileged: bool = client
        .query_one("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user", &[])
        .await
        .unwrap()
        .get(0);
    let store = database.store().await;
    let role: String = client
        .query_one(
            "SELECT coalesce(max(usename::text), '') FROM pg_stat_activity \
             WHERE application_name = 'upswing' AND datname = current_database()",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    let app: bool = client
        .query_one("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = 'upswing_app'", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!app, "the server's role has no privileges, whatever {role} (privileged: {privileged}) has");
    store.close().await;
    database.drop().await;
}

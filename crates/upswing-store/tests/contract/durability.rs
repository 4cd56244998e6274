use crate::support::{World, execution, on_both};

#[tokio::test]
async fn the_live_connection_flushes_with_every_commit() {
    on_both("the_live_connection_flushes_with_every_commit", |database| async move {
        let world = World::new(&database).await;
        world.write(vec![execution(world.execution(1))]).await;
        let settings = world.store.durability();
        let get = |name: &str| settings.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        if database.url.starts_with("sqlite:") {
            assert_eq!(get("journal_mode"), Some("wal"));
            assert_eq!(get("synchronous"), Some("2"), "FULL");
        } else {
            assert_eq!(get("fsync"), Some("on"));
            assert_eq!(get("synchronous_commit"), Some("on"));
            assert_eq!(get("full_page_writes"), Some("on"));
        }
        world.store.close().await;
        database
    })
    .await;
}

//! Opening: migrations by one, by many at once, by an older and a newer program; and databases that are none.

use std::time::Duration;

use tollgate_kit::{Postgres, TempFolder};
use tollgate_store::{Place, Store, StoreError, StoreSettings};
use tollgate_wire::Secret;

use crate::world::{NOW, World, both, key, stamp};

both! {
    async fn a_second_start_finds_what_the_first_one_wrote(world: World) {
        world.store.insert_key(&key("one"), &stamp(0)).await.unwrap();
        world.store.close().await;
        assert!(world.again().await.key("one").await.unwrap().is_some());
    }

    async fn a_newer_schema_that_an_older_program_can_work_with_is_accepted(world: World) {
        world.store.close().await;
        world.run("INSERT INTO schema_history (version, name, needs, at) VALUES (999, '0999_future', 1, 0); \
                   ALTER TABLE keys ADD COLUMN future text NOT NULL DEFAULT 'x'").await;
        let older = world.again().await;
        older.insert_key(&key("one"), &stamp(0)).await.unwrap();
        let read = older.key("one").await.unwrap().unwrap();
        older.update_key(&read, 1, &stamp(1)).await.unwrap();
        assert!(older.find_key("one", NOW).await.unwrap().is_some());
        assert_eq!(older.delete_keys(&["one".to_owned()], &stamp(2)).await.unwrap().len(), 1);
    }

    async fn a_schema_that_needs_a_newer_program_is_refused_in_one_line(world: World) {
        world.store.close().await;
        world.run("INSERT INTO schema_history (version, name, needs, at) VALUES (999, '0999_future', 999, 0)").await;
        let refused = Store::open(&world.settings, NOW).await.unwrap_err();
        assert!(matches!(refused, StoreError::TooNew { schema: 999, .. }), "{refused:?}");
        assert!(refused.to_string().contains("update tollgate") && !refused.to_string().contains('\n'), "{refused}");
    }

    async fn a_migration_that_fails_is_undone_and_says_so_in_one_line(world: World) {
        world.store.close().await;
        world.run("DELETE FROM schema_history; DROP TABLE audit").await;
        let refused = Store::open(&world.settings, NOW).await.unwrap_err();
        let StoreError::Migration { name: "0001_access", cause } = &refused else { panic!("{refused:?}") };
        assert!(cause.contains("already exists") && !cause.contains('\n'), "{cause}");
        // Nothing of it is there: what is in the way was not replaced, and no version was written down.
        world.run("CREATE TABLE audit (other text); SELECT other FROM audit").await;
        assert!(matches!(Store::open(&world.settings, NOW).await, Err(StoreError::Migration { .. })));
    }
}

/// Many instances start on an empty database in the same moment.
async fn race(settings: StoreSettings) {
    let all: Vec<_> = (0..8)
        .map(|_| {
            let settings = settings.clone();
            async move { Store::open(&settings, NOW).await }
        })
        .collect();
    let mut running = tokio::task::JoinSet::new();
    for one in all {
        running.spawn(one);
    }
    let opened = running.join_all().await;
    for (number, store) in opened.into_iter().enumerate() {
        store.unwrap().insert_key(&key(&format!("key-{number}")), &stamp(0)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_that_start_together_migrate_sqlite_once() {
    let folder = TempFolder::new();
    race(StoreSettings::at(Place::Sqlite(folder.path().join("tollgate.db")))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_that_start_together_migrate_postgres_once() {
    race(StoreSettings::at(Place::Postgres(Secret::new(Postgres::shared().database())))).await;
}

#[tokio::test]
async fn what_is_in_memory_is_seen_by_one_store_and_lives_as_long() {
    let (one, other) = (World::memory().await, World::memory().await);
    one.store.insert_key(&key("one"), &stamp(0)).await.unwrap();
    assert!(one.store.clone().find_key("one", NOW).await.unwrap().is_some());
    assert_eq!(other.store.find_key("one", NOW).await.unwrap(), None);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_in_one_line() {
    let folder = TempFolder::new();
    let path = folder.write("tollgate.db", "this is a text, and not a short one either: SQLite looks at sixteen bytes");
    let refused = Store::open(&StoreSettings::at(Place::Sqlite(path)), NOW).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Broken(cause) if cause.contains("not a database")), "{refused:?}");
    let nowhere = StoreSettings::at(Place::Sqlite(folder.path().join("no/such/folder.db")));
    assert!(matches!(Store::open(&nowhere, NOW).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn no_error_repeats_an_address() {
    let nobody = tollgate_kit::gateway::free_port();
    let wrong = [
        "postgresql://ann:hunter2@127.0.0.1:notaport/db".to_owned(),
        "mysql://ann:hunter2@127.0.0.1/db".to_owned(),
        format!("postgresql://ann:hunter2@127.0.0.1:{nobody}/db"),
        "postgresql://ann:hunter2@127.0.0.1/db?sslmode=nonsense".to_owned(),
    ];
    for url in wrong {
        let mut settings = StoreSettings::at(Place::Postgres(Secret::new(url.clone())));
        settings.connect_timeout = Duration::from_secs(5);
        assert!(!format!("{settings:?}").contains("hunter2"));
        let refused = Store::open(&settings, NOW).await.unwrap_err();
        assert!(matches!(refused, StoreError::Address | StoreError::Unavailable(_)), "{url}: {refused:?}");
        assert!(!format!("{refused:?} {refused}").contains("hunter2"), "{refused:?}");
    }
}

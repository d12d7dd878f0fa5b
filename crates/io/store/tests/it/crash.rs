//! A store that dies: the instance is killed in the middle, the database is killed, hangs, or is away.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tollgate_kit::{Postgres, TempFolder};
use tollgate_store::{Place, Projected, Store, StoreError, StoreSettings};
use tollgate_wire::Secret;

use crate::{
    spend::attempts,
    world::{NOW, key, stamp},
};

/// Where the victim's store is: a path, or an address.
const PLACE: &str = "TOLLGATE_STORE_TEST_PLACE";

fn place(text: &str) -> Place {
    if text.starts_with("postgresql:") {
        Place::Postgres(Secret::new(text))
    } else {
        Place::Sqlite(Path::new(text).to_owned())
    }
}

/// Books batch after batch until the store says no.
async fn book_on(store: &Store) -> StoreError {
    loop {
        let after = match store.watermark("journal").await {
            Ok(after) => after,
            Err(error) => return error,
        };
        if let Err(error) = store.book(&attempts(after..after + 40)).await {
            return error;
        }
    }
}

/// Whatever was booked was booked whole.
async fn is_whole(store: &Store) -> i64 {
    let after = store.watermark("journal").await.unwrap();
    assert_eq!(store.verify_totals().await.unwrap(), []);
    let scopes = ["odd", "even"].map(|team| ("team".to_owned(), team.to_owned()));
    let totals = store.totals_of(&scopes).await.unwrap();
    let all: i64 = totals.iter().filter(|total| total.window.start.0 == 0).map(|total| total.settled.0).sum();
    assert_eq!((after % 40, all), (0, (0..after).sum::<i64>()));
    after
}

#[tokio::test]
#[ignore = "another test starts it as a process of its own, and kills it"]
async fn victim() {
    let store = Store::open(&StoreSettings::at(place(&std::env::var(PLACE).unwrap())), NOW).await.unwrap();
    panic!("the store said no: {}", book_on(&store).await);
}

/// Kills an instance while it books, again and again, and looks at what is there.
async fn kill_ten(where_it_is: &str) {
    let mut last = 0;
    for round in 0..10_u64 {
        let mut victim = Command::new(std::env::current_exe().unwrap());
        victim.args(["--ignored", "--exact", "crash::victim"]).env(PLACE, where_it_is);
        let mut victim = victim.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The first one has to make the tables; then the moment of death wanders through a batch.
        let store = loop {
            match Store::open(&StoreSettings::at(place(where_it_is)), NOW).await {
                Ok(store) => break store,
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        while store.watermark("journal").await.unwrap() < last + 80 {
            assert_eq!(victim.try_wait().unwrap(), None, "the victim died by itself");
            tokio::task::yield_now().await;
        }
        std::thread::sleep(Duration::from_micros(round * 1700));
        victim.kill().unwrap();
        victim.wait().unwrap();
        last = is_whole(&store).await;
        store.close().await;
    }
    // The next one goes on where the last one stopped.
    let store = Store::open(&StoreSettings::at(place(where_it_is)), NOW).await.unwrap();
    assert_eq!(
        store.book(&attempts(last..last + 40)).await.unwrap(),
        Projected::Done { quarantined: Vec::new(), void: Vec::new() }
    );
    is_whole(&store).await;
}

#[tokio::test]
async fn an_instance_on_sqlite_that_is_killed_leaves_whole_batches() {
    let folder = TempFolder::new();
    kill_ten(folder.path().join("tollgate.db").to_str().unwrap()).await;
}

#[tokio::test]
async fn an_instance_on_postgres_that_is_killed_leaves_whole_batches() {
    kill_ten(&Postgres::shared().database()).await;
}

#[tokio::test]
async fn a_database_that_is_killed_comes_back_with_whole_batches_and_the_store_with_it() {
    let mut server = Postgres::start();
    let mut settings = StoreSettings::at(Place::Postgres(Secret::new(server.database())));
    settings.acquire_timeout = Duration::from_millis(500);
    let store = Store::open(&settings, NOW).await.unwrap();
    for round in 0..3_u64 {
        let mut booking = tokio::task::JoinSet::new();
        booking.spawn({
            let store = store.clone();
            async move { book_on(&store).await }
        });
        let before = store.watermark("journal").await.unwrap();
        while store.watermark("journal").await.unwrap() < before + 80 {
            tokio::task::yield_now().await;
        }
        std::thread::sleep(Duration::from_micros(round * 1300));
        server.crash();
        let told = booking.join_next().await.unwrap().unwrap();
        assert!(matches!(told, StoreError::Unavailable(_)), "{told:?}");
        let away = store.insert_key(&key("away"), &stamp(0)).await.unwrap_err();
        assert!(matches!(away, StoreError::Unavailable(_)), "{away:?}");
        server.restart();
        // The same store, without being opened again.
        while store.watermark("journal").await.is_err() {
            tokio::task::yield_now().await;
        }
        assert!(is_whole(&store).await > before);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_database_that_hangs() {
    let server = Postgres::start();
    let mut settings = StoreSettings::at(Place::Postgres(Secret::new(server.database())));
    settings.max_connections = 2;
    (settings.acquire_timeout, settings.statement_timeout) = (Duration::from_millis(200), Duration::from_millis(300));
    let store = Store::open(&settings, NOW).await.unwrap();
    store.insert_key(&key("one"), &stamp(0)).await.unwrap();
    server.freeze(true);
    let begun = tokio::time::Instant::now();
    let asked = (0..6).map(|_| store.find_key("one", NOW));
    for asked in asked {
        assert!(matches!(asked.await, Err(StoreError::Unavailable(_))));
    }
    settings.connect_timeout = Duration::from_millis(300);
    assert!(matches!(Store::open(&settings, NOW).await, Err(StoreError::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    server.freeze(false);
    let patient = tokio::time::Instant::now() + Duration::from_secs(20);
    while store.find_key("one", NOW).await.is_err() {
        assert!(tokio::time::Instant::now() < patient, "the store does not come back");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_sqlite_file_that_another_process_keeps_locked() {
    let folder = TempFolder::new();
    let path = folder.path().join("tollgate.db");
    let mut settings = StoreSettings::at(Place::Sqlite(path.clone()));
    (settings.acquire_timeout, settings.statement_timeout) = (Duration::from_millis(200), Duration::from_millis(300));
    let store = Store::open(&settings, NOW).await.unwrap();
    store.insert_key(&key("one"), &stamp(0)).await.unwrap();
    let url = format!("sqlite://{}", path.display());
    let mut other = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let refused = store.insert_key(&key("two"), &stamp(0)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    // Readers go on.
    assert!(store.find_key("one", NOW).await.unwrap().is_some());
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    store.insert_key(&key("two"), &stamp(0)).await.unwrap();
}

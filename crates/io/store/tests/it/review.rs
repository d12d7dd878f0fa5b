//! What the store tells those who look whether everything is there.

use tollgate_store::{
    Batch, Booked, EpochMs, Instance, NanoDollars, Place, Store, StoreError, StoreSettings, UnknownAttempt, Window,
    Windows, Wish,
};

use crate::{
    spend::{attempt, attempts, batch},
    world::{NOW, both, later, texts},
};

fn window(kind: &str, id: &str, start: i64) -> Window {
    Window { kind: kind.to_owned(), id: id.to_owned(), start: EpochMs(start) }
}

both! {
    async fn what_is_there_of_journals_and_attempts_is_told(world: World) {
        let store = world.store;
        store.book(&attempts(0..3)).await.unwrap();
        let windows = Windows(vec![window("key", "k", 0)]);
        let lost = UnknownAttempt {
            attempt_id: "lost".to_owned(), call_id: "call-9".to_owned(), held: NanoDollars(5), windows, ..Default::default()
        };
        store.book(&Batch { journal: "other".to_owned(), unknown: vec![lost], upto: 7, ..Batch::default() }).await.unwrap();
        let marks = store.watermarks().await.unwrap();
        let marks: Vec<(&str, i64)> = marks.iter().map(|mark| (mark.journal.as_str(), mark.position)).collect();
        assert_eq!(marks, [("journal", 3), ("other", 7)]);

        let mut correction = attempt(3, -2);
        correction.row.attempt_id = "attempt-1".to_owned();
        correction.row.certainty = "corrected".to_owned();
        store.book(&batch(3, vec![Booked { day: None, ..correction }])).await.unwrap();
        let mut found = store.entries_of(&texts(["attempt-1", "attempt-2", "nobody"])).await.unwrap();
        found.sort_by(|one, other| one.row_id.cmp(&other.row_id));
        let found: Vec<(&str, &str, i64)> =
            found.iter().map(|entry| (entry.row_id.as_str(), entry.certainty.as_str(), entry.spend.0)).collect();
        assert_eq!(found, [("row-1", "stated", 1), ("row-2", "stated", 2), ("row-3", "corrected", -2)]);
        let rows = store.rows_of(&texts(["attempt-1"])).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.row_id.as_str()).collect::<Vec<_>>(), ["row-1", "row-3"]);
        for id in ["lost", "call-9"] {
            assert_eq!(store.unknown_of(&texts([id])).await.unwrap().len(), 1, "{id}");
        }
        assert!(store.unknown_of(&texts(["attempt-1"])).await.unwrap().is_empty());
        assert!(store.entries_of(&[]).await.unwrap().is_empty());
    }

    async fn sums_of_rows_that_are_gone_are_known_by_their_windows(world: World) {
        let store = world.store;
        store.book(&attempts(0..4)).await.unwrap();
        let odd = [window("team", "odd", 0), window("team", "odd", NOW.0)];
        assert!(!store.are_folded(&odd).await.unwrap());
        store.prune_spend(later(2), 10).await.unwrap();
        assert!(store.are_folded(&odd).await.unwrap());
        assert!(!store.are_folded(&[odd[0].clone(), window("team", "none", 0)]).await.unwrap());
        assert!(!store.are_folded(&[]).await.unwrap());
    }

    async fn totals_of_a_kind_are_paged_in_their_order(world: World) {
        let store = world.store;
        let mut all = attempt(1, 5);
        all.row.windows = Windows(vec![
            window("key", "a", 0), window("key", "b", 0), window("key@1d", "a", 5), window("key@1d", "a", 6),
            window("key-model", "a/m", 0), window("keyring", "a", 0),
        ]);
        store.book(&batch(0, vec![all])).await.unwrap();
        let page = async |kinds, after: Option<&Window>| {
            let totals = store.settled_totals(kinds, after, 2).await.unwrap();
            totals.into_iter().map(|total| total.window).collect::<Vec<_>>()
        };
        let whole = ("key", "key!");
        let first = page(whole, None).await;
        assert_eq!(first, [window("key", "a", 0), window("key", "b", 0)]);
        assert!(page(whole, first.last()).await.is_empty());
        let of_periods = page(("key@", "keyA"), None).await;
        assert_eq!(of_periods, [window("key@1d", "a", 5), window("key@1d", "a", 6)]);
        assert_eq!(page(("key@", "keyA"), of_periods.first()).await, [window("key@1d", "a", 6)]);
    }

    async fn leases_are_told_with_what_is_used_of_them(world: World) {
        let store = world.store;
        store.enter(&Instance { instance: "a".to_owned(), ..Instance::default() }).await.unwrap();
        let (window, money) = (window("key", "k", 0), NanoDollars(10));
        store.lease("a", NOW, &[Wish { window: window.clone(), budget: money, need: money, want: money }]).await.unwrap();
        let mut spent = attempt(1, 3);
        (spent.row.windows, spent.leased) = (Windows(vec![window]), true);
        store.book(&Batch { instance: Some("a".to_owned()), ..batch(0, vec![spent]) }).await.unwrap();
        let leases = store.leases().await.unwrap();
        assert_eq!(leases.len(), 1);
        assert_eq!((leases[0].granted.0, leases[0].used.0, leases[0].instance.as_str()), (10, 3, "a"));
    }

    async fn a_store_that_is_there_is_read_and_none_is_made(world: World) {
        let reader = Store::look(&world.settings).await.unwrap();
        world.store.book(&attempts(0..3)).await.unwrap();
        assert_eq!(reader.verify_totals().await.unwrap(), []);
        assert_eq!(reader.watermark("journal").await.unwrap(), 3);
        world.run("DELETE FROM schema_history WHERE version > 1").await;
        assert!(matches!(Store::look(&world.settings).await, Err(StoreError::TooOld { schema: 1, .. })));
        world.run("DROP TABLE schema_history").await;
        assert!(matches!(Store::look(&world.settings).await, Err(StoreError::Missing)));
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_stays_so() {
    let folder = tollgate_kit::TempFolder::new();
    let file = folder.path().join("tollgate.db");
    let looked = Store::look(&StoreSettings::at(Place::Sqlite(file.clone()))).await;
    assert!(matches!(looked, Err(StoreError::Missing)) && !file.exists());
}

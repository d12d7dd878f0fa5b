//! What was spent: batches are booked once, whatever happens, and their sums are right.

use tollgate_kit::Postgres;
use tollgate_store::{
    Activity, ActivityFilter, Batch, Booked, By, EpochMs, Key, LogFilter, LogListing, LogSort, NanoDollars, Of, Page,
    Projected, SpendRow, Store, StoreError, Total, UnknownAttempt, Unread, Window, Windows,
};

use tollgate_store::{Place, StoreSettings};
use tollgate_wire::Secret;

use crate::world::{NOW, both, key, later, stamp, texts};

const DONE: Projected = Projected::Done { quarantined: Vec::new(), void: Vec::new() };

fn window(kind: &str, id: &str, start: i64) -> Window {
    Window { kind: kind.to_owned(), id: id.to_owned(), start: EpochMs(start) }
}

/// An attempt with a key's and a team's windows, which cost so many nano-dollars.
pub(crate) fn attempt(number: i64, spend: i64) -> Booked {
    let team = if number % 2 == 0 { "even" } else { "odd" };
    let row = SpendRow {
        row_id: format!("row-{number}"),
        attempt_id: format!("attempt-{number}"),
        call_id: format!("call-{number}"),
        request_id: format!("chatcmpl-{number}"),
        call_type: "acompletion".to_owned(),
        started_at: later(number),
        ended_at: later(number + 1),
        request_duration_ms: 1000,
        status: if number % 5 == 4 { "failure" } else { "success" }.to_owned(),
        certainty: "stated".to_owned(),
        spend: NanoDollars(spend),
        total_tokens: 30,
        prompt_tokens: 10,
        completion_tokens: 20,
        cache_read_tokens: 3,
        cache_write_tokens: 4,
        api_key: format!("key-{}", number % 3),
        user_id: Some("user".to_owned()),
        team_id: Some(team.to_owned()),
        model: format!("model-{}", number % 2),
        provider: Some("openai".to_owned()),
        end_user: (number == 1).then(|| "customer".to_owned()),
        error_message: (number % 5 == 4).then(|| "It broke at 50%".to_owned()),
        windows: Windows(vec![
            window("key", &format!("origin-key-{}", number % 3), 0),
            window("team", team, 0),
            window("team", team, NOW.0),
        ]),
        ..SpendRow::default()
    };
    let tags = if number == 0 { texts(["tag", "other"]) } else { Vec::new() };
    Booked {
        position: number,
        row,
        day: Some("2023-11-14".to_owned()),
        tags,
        leased: false,
        states: false,
        record: vec![1, 2, 3],
    }
}

pub(crate) fn batch(after: i64, booked: Vec<Booked>) -> Batch {
    let upto = after + i64::try_from(booked.len()).unwrap();
    Batch { journal: "journal".to_owned(), after, upto, at: NOW, booked, keep_rows: true, ..Batch::default() }
}

pub(crate) fn attempts(numbers: std::ops::Range<i64>) -> Batch {
    batch(numbers.start, numbers.map(|number| attempt(number, number)).collect())
}

async fn total(store: &Store, kind: &str, id: &str) -> i64 {
    let totals = store.totals_of(&[(kind.to_owned(), id.to_owned())]).await.unwrap();
    totals.iter().filter(|total| total.window.start == EpochMs(0)).map(|total| total.settled.0).sum()
}

async fn sound(store: &Store) {
    assert_eq!(store.verify_totals().await.unwrap(), []);
}

fn held(number: i64, amount: i64) -> UnknownAttempt {
    UnknownAttempt {
        attempt_id: format!("lost-{number}"),
        journal: "journal".to_owned(),
        opened_at: later(number),
        held: NanoDollars(amount),
        windows: Windows(vec![window("key", "k", 0), window("team", "t", 5)]),
        model: "m".to_owned(),
        ..UnknownAttempt::default()
    }
}

/// A record that states what an unknown attempt cost.
fn stating(position: i64, number: i64, cost: i64) -> Booked {
    let mut stated = attempt(position, cost);
    stated.row.attempt_id = format!("lost-{number}");
    stated.row.certainty = "corrected".to_owned();
    stated.row.windows = held(number, 0).windows;
    Booked { states: true, day: None, ..stated }
}

both! {
    async fn an_unknown_attempt_is_stated_once_whoever_says_it_and_however_often(world: World) {
        let (store, other) = (world.store.clone(), world.again().await);
        // In the batch that held it, twice.
        let both = Batch { unknown: vec![held(1, 100)], ..batch(0, vec![stating(0, 1, 30), stating(1, 1, 40)]) };
        assert_eq!(store.book(&both).await.unwrap(), Projected::Done { quarantined: Vec::new(), void: vec![1] });
        assert_eq!((total(&store, "key", "k").await, store.unknown_sum().await.unwrap().0), (30, 0));
        // By two instances at the same time.
        store.book(&Batch { unknown: vec![held(2, 100)], upto: 3, ..batch(2, Vec::new()) }).await.unwrap();
        let of = |journal: &str, position| Batch { journal: journal.to_owned(), ..batch(0, vec![stating(position, 2, 50)]) };
        let (here, there) = (of("here", 10), of("there", 11));
        let (one, two) = tokio::join!(store.book(&here), other.book(&there));
        let void: Vec<i64> = [one.unwrap(), two.unwrap()].into_iter().flat_map(|done| match done {
            Projected::Done { void, .. } => void,
            Projected::At(at) => panic!("at {at}"),
        }).collect();
        assert!(void == [10] || void == [11], "{void:?}");
        assert_eq!((total(&store, "key", "k").await, store.unknown_sum().await.unwrap().0), (80, 0));
        sound(&store).await;
    }

    async fn an_unknown_attempt_that_is_there_or_known_is_not_held_again(world: World) {
        let store = world.store;
        let lost = |after| Batch { unknown: vec![held(1, 100)], upto: after + 1, ..batch(after, Vec::new()) };
        store.book(&lost(0)).await.unwrap();
        assert_eq!(store.book(&lost(1)).await.unwrap(), DONE);
        assert_eq!(store.unknown_sum().await.unwrap(), (1, NanoDollars(100)));
        store.book(&batch(2, vec![stating(2, 1, 30)])).await.unwrap();
        assert_eq!(store.book(&lost(3)).await.unwrap(), DONE);
        assert_eq!(store.unknown_sum().await.unwrap(), (0, NanoDollars(0)));
        sound(&store).await;
    }

    async fn a_record_that_was_written_twice_is_booked_once_and_not_quarantined(world: World) {
        let store = world.store;
        store.book(&attempts(0..5)).await.unwrap();
        let mut again = attempts(5..8);
        again.booked.insert(1, Booked { position: 99, ..attempt(3, 3) });
        again.booked.push(stating(100, 9, 9));
        assert_eq!(store.book(&again).await.unwrap(), Projected::Done { quarantined: Vec::new(), void: vec![99, 100] });
        assert_eq!(store.quarantined(Page { offset: 0, limit: 9 }).await.unwrap(), []);
        let sum: i64 = (0..8).sum();
        assert_eq!(total(&store, "team", "odd").await + total(&store, "team", "even").await, sum);
        sound(&store).await;
    }

    async fn a_statement_that_the_database_refuses_leaves_its_attempt_unknown(world: World) {
        let store = world.store.clone();
        store.book(&Batch { unknown: vec![held(1, 100), held(2, 10)], upto: 1, ..batch(0, Vec::new()) }).await.unwrap();
        let rule = match world.settings.place {
            Place::Postgres(_) => "ALTER TABLE spend ADD CONSTRAINT poison CHECK (model <> 'poison')",
            _ => "CREATE TRIGGER poison BEFORE INSERT ON spend WHEN NEW.model = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END",
        };
        world.run(rule).await;
        let mut refused = stating(1, 1, 30);
        refused.row.model = "poison".to_owned();
        let two = batch(1, vec![refused, stating(2, 2, 4)]);
        assert_eq!(store.book(&two).await.unwrap(), Projected::Done { quarantined: vec![1], void: Vec::new() });
        assert_eq!((total(&store, "key", "k").await, store.unknown_sum().await.unwrap()), (4, (1, NanoDollars(100))));
        sound(&store).await;
    }

    async fn a_batch_is_booked_once(world: World) {
        let store = world.store;
        assert_eq!(store.book(&attempts(0..20)).await.unwrap(), DONE);
        assert_eq!(store.book(&attempts(0..20)).await.unwrap(), Projected::At(20));
        assert_eq!(store.book(&attempts(10..30)).await.unwrap(), Projected::At(20));
        assert_eq!(store.book(&attempts(25..30)).await.unwrap(), Projected::At(20));
        assert_eq!(store.watermark("journal").await.unwrap(), 20);
        assert_eq!(store.book(&attempts(20..30)).await.unwrap(), DONE);
        assert_eq!(total(&store, "team", "odd").await, (0..30).filter(|number| number % 2 == 1).sum::<i64>());
        assert_eq!(store.watermark("other").await.unwrap(), 0);
        sound(&store).await;
    }

    async fn a_batch_of_every_length_is_booked_whole(world: World) {
        let (store, mut after) = (world.store, 0);
        for length in [0, 1, 9, 10, 11, 99, 100, 111, 611] {
            assert_eq!(store.book(&attempts(after..after + length)).await.unwrap(), DONE);
            after += length;
        }
        assert_eq!(total(&store, "team", "odd").await + total(&store, "team", "even").await, (0..after).sum::<i64>());
        let everything = LogListing { limit: 1, count_upto: 10_000, ..LogListing::default() };
        assert_eq!(store.spend_logs(&everything).await.unwrap().total, after);
        sound(&store).await;
    }

    async fn rows_are_read_as_they_were_written(world: World) {
        let store = world.store;
        let mut written = attempt(1, 77);
        written.row = SpendRow {
            completion_started_at: Some(later(2)),
            key_alias: Some("alias".to_owned()),
            organization_id: Some("o".to_owned()),
            project_id: Some("p".to_owned()),
            agent_id: Some("a".to_owned()),
            model_id: Some("deployment".to_owned()),
            model_group: Some("group".to_owned()),
            api_base: Some("https://api.example".to_owned()),
            endpoint: Some("/chat/completions".to_owned()),
            mcp_tool: Some("tool".to_owned()),
            session_id: Some("session".to_owned()),
            requester_ip_address: Some("10.0.0.1".to_owned()),
            cache_hit: Some("True".to_owned()),
            cache_key: Some("c".to_owned()),
            error_code: Some("429".to_owned()),
            error_message: Some("ein „Fehler“\t\n".to_owned()),
            request_tags: crate::world::json(r#"["t"]"#),
            metadata: crate::world::json("{}"),
            messages: crate::world::json("[]"),
            response: crate::world::json("{}"),
            proxy_server_request: crate::world::json("{}"),
            ..written.row
        };
        store.book(&batch(0, vec![written.clone()])).await.unwrap();
        let found = store.spend_logs(&LogListing { limit: 9, ..LogListing::default() }).await.unwrap();
        assert_eq!((found.rows, found.total), (vec![written.row], 0));
    }

    async fn a_record_that_the_database_refuses_goes_into_quarantine_alone(world: World) {
        let store = world.store;
        store.book(&attempts(0..3)).await.unwrap();
        let mut poisoned = attempts(3..250);
        // An attempt that was booked before at another cost, and one that is in this batch already.
        for (wrong, again) in [(17, 1), (200, 100)] {
            poisoned.booked[wrong].row = attempt(again, 1_000_000).row;
        }
        assert_eq!(store.book(&poisoned).await.unwrap(), Projected::Done { quarantined: vec![20, 203], void: Vec::new() });
        assert_eq!(store.watermark("journal").await.unwrap(), 250);
        let kept = store.quarantined(Page { offset: 0, limit: 10 }).await.unwrap();
        assert_eq!(kept.iter().map(|kept| (kept.position, kept.spend.0)).collect::<Vec<_>>(), [(20, 1_000_000), (203, 1_000_000)]);
        assert_eq!((kept[0].record.as_slice(), kept[0].at), ([1, 2, 3].as_slice(), NOW));
        let mut sums_only = Batch { keep_rows: false, ..attempts(250..260) };
        sums_only.booked[3].row = attempt(2, 1_000_000).row;
        // Without rows nobody sees that it is the same; it does not stop the others either.
        assert_eq!(store.book(&sums_only).await.unwrap(), DONE);
        let wanted = (0..260).filter(|number| ![20, 203, 253].contains(number)).sum::<i64>() + 1_000_000;
        assert_eq!(total(&store, "team", "odd").await + total(&store, "team", "even").await, wanted);
        sound(&store).await;
    }

    async fn records_that_cannot_be_read_go_into_quarantine_beside_the_others(world: World) {
        let store = world.store;
        let unread = |position| Unread { position, cause: "a newer kind".to_owned(), record: vec![9, 9] };
        let mixed = Batch { unread: vec![unread(3), unread(1)], ..attempts(0..4) };
        assert_eq!(store.book(&mixed).await.unwrap(), Projected::Done { quarantined: vec![1, 3], void: Vec::new() });
        let kept = store.quarantined(Page { offset: 0, limit: 10 }).await.unwrap();
        let kept: Vec<_> = kept.iter().map(|kept| (kept.position, kept.cause.as_str(), kept.record.as_slice())).collect();
        assert_eq!(kept, [(1, "a newer kind", [9, 9].as_slice()), (3, "a newer kind", [9, 9].as_slice())]);
        sound(&store).await;
    }

    async fn where_no_record_goes_in_all_wait(world: World) {
        world.run("ALTER TABLE spend RENAME TO elsewhere").await;
        let waits = world.store.book(&attempts(0..3)).await;
        assert!(matches!(waits, Err(StoreError::Broken(_))), "{waits:?}");
        assert_eq!(world.store.watermark("journal").await.unwrap(), 0);
        world.run("ALTER TABLE elsewhere RENAME TO spend").await;
        assert_eq!(world.store.book(&attempts(0..3)).await.unwrap(), DONE);
        assert_eq!(world.store.quarantined(Page { offset: 0, limit: 10 }).await.unwrap(), []);
        sound(&world.store).await;
    }

    async fn no_text_stops_a_batch(world: World) {
        let store = world.store;
        let mut odd = attempt(0, 5);
        odd.row.user_id = Some("a\0b".to_owned());
        odd.row.windows.0[0].id = "\0\t\n".to_owned();
        odd.tags = texts(["\0", "ä\u{1f600}"]);
        assert_eq!(store.book(&batch(0, vec![odd])).await.unwrap(), DONE);
        assert_eq!(total(&store, "key", "\0\t\n").await, 5);
        sound(&store).await;
    }

    async fn without_rows_the_totals_are_the_same_and_can_be_checked(world: World) {
        let store = world.store;
        let sums_only = Batch { keep_rows: false, ..attempts(0..20) };
        store.book(&sums_only).await.unwrap();
        store.book(&attempts(20..40)).await.unwrap();
        assert_eq!(total(&store, "team", "odd").await + total(&store, "team", "even").await, (0..40).sum::<i64>());
        let everything = LogListing { limit: 100, count_upto: 100, ..LogListing::default() };
        assert_eq!(store.spend_logs(&everything).await.unwrap().total, 20);
        sound(&store).await;
    }

    async fn a_deleted_key_is_booked_and_a_living_one_shows_what_it_spent(world: World) {
        let store = world.store;
        store.insert_keys(&[Key { key_alias: Some("a".to_owned()), ..key("key-0") }, key("key-1")], &stamp(0)).await.unwrap();
        store.delete_keys(&texts(["key-1"]), &stamp(1)).await.unwrap();
        store.book(&batch(0, vec![attempt(0, 5), attempt(1, 6), attempt(3, 7)])).await.unwrap();
        let view = store.find_key("key-0", NOW).await.unwrap().unwrap();
        assert_eq!((view.spent.settled, view.spent.last_active), (NanoDollars(12), Some(later(4))));
        assert_eq!(total(&store, "key", "origin-key-1").await, 6);
        // A correction takes back what was spent, and is in no day.
        let mut correction = attempt(0, -12);
        correction.row.row_id = "correction".to_owned();
        correction.row.certainty = "corrected".to_owned();
        correction.day = None;
        correction.row.windows.0.truncate(1);
        store.book(&batch(3, vec![correction])).await.unwrap();
        let view = store.find_key("key-0", NOW).await.unwrap().unwrap();
        assert_eq!(view.spent.settled, NanoDollars(0));
        let whole = ActivityFilter { kind: "global".to_owned(), ..ActivityFilter::default() };
        assert_eq!(store.activity(&whole, &[], 9).await.unwrap()[0].spend, NanoDollars(18));
        sound(&store).await;
    }

    async fn windows_are_told_apart_by_their_beginning(world: World) {
        let store = world.store;
        store.book(&batch(0, vec![attempt(0, 5)])).await.unwrap();
        let mut next = attempt(2, 7);
        next.row.windows.0[2].start = EpochMs(NOW.0 + 1);
        store.book(&batch(1, vec![next])).await.unwrap();
        let scope = [("team".to_owned(), "even".to_owned()), ("team".to_owned(), "none".to_owned())];
        let mut totals = store.totals_of(&scope).await.unwrap();
        totals.sort_by(|one, other| one.window.cmp(&other.window));
        let wanted = [(0, 12), (NOW.0, 5), (NOW.0 + 1, 7)].map(|(start, settled)| Total {
            window: window("team", "even", start),
            settled: NanoDollars(settled),
            unknown: NanoDollars(0),
        });
        assert_eq!(totals, wanted);
    }

    async fn what_is_unknown_is_held_until_it_is_known(world: World) {
        let store = world.store;
        let lost = Batch { unknown: vec![held(1, 100), held(2, 50)], upto: 5, ..batch(0, Vec::new()) };
        store.book(&lost).await.unwrap();
        let scope = [("key".to_owned(), "k".to_owned())];
        let of_key = async || store.totals_of(&scope).await.unwrap().pop().map(|total| (total.settled.0, total.unknown.0));
        assert_eq!(of_key().await, Some((0, 150)));
        assert_eq!(store.unknown_sum().await.unwrap(), (2, NanoDollars(150)));
        sound(&store).await;
        let page = Page { offset: 0, limit: 10 };
        assert_eq!(store.unknown_attempts(later(2), page).await.unwrap(), [held(1, 100)]);
        assert_eq!(store.unknown_attempt("lost-2").await.unwrap(), Some(held(2, 50)));
        let known = batch(5, vec![stating(0, 1, 30), stating(1, 3, 7)]);
        assert_eq!(store.book(&known).await.unwrap(), Projected::Done { quarantined: Vec::new(), void: vec![1] });
        assert_eq!(of_key().await, Some((30, 50)));
        assert_eq!(store.unknown_attempt("lost-1").await.unwrap(), None);
        sound(&store).await;
    }

    async fn instances_that_book_at_the_same_time_neither_lose_nor_double(world: World) {
        let other = world.again().await;
        let all = async |store: &Store, journal: &'static str, backwards: bool| {
            for part in 0..12 {
                let mut batch = attempts(part * 25..part * 25 + 25);
                batch.journal = journal.to_owned();
                for booked in &mut batch.booked {
                    booked.row.row_id = format!("{journal}-{}", booked.row.row_id);
                }
                if backwards {
                    batch.booked.reverse();
                }
                assert_eq!(store.book(&batch).await.unwrap(), DONE);
            }
        };
        // Two journals, and two who both believe that they project the third one.
        let shared = async |store: &Store| {
            let mut at = 0;
            while at < 300 {
                let batch = Batch { journal: "shared".to_owned(), ..attempts(at..at + 25) };
                at = match store.book(&batch).await.unwrap() {
                    Projected::Done { .. } => at + 25,
                    Projected::At(position) => position,
                };
            }
        };
        tokio::join!(all(&world.store, "a", false), all(&other, "b", true), shared(&world.store), shared(&other));
        let sum: i64 = (0..300).sum();
        assert_eq!(total(&other, "team", "odd").await + total(&other, "team", "even").await, 3 * sum);
        sound(&world.store).await;
    }

    async fn days_know_who_spent_what_with_which_model(world: World) {
        let store = world.store;
        let mut booked: Vec<Booked> = (0..10).map(|number| attempt(number, 100 + number)).collect();
        booked[9].day = Some("2023-11-15".to_owned());
        store.book(&batch(0, booked)).await.unwrap();
        store.book(&batch(10, vec![attempt(10, 1000)])).await.unwrap();
        let of = |kind: &str| ActivityFilter { kind: kind.to_owned(), ..ActivityFilter::default() };
        let by_day = store.activity(&of("global"), &[By::Date], 100).await.unwrap();
        let first: i64 = (0..9).map(|number| 100 + number).sum::<i64>() + 1000;
        let wanted = Activity {
            date: "2023-11-14".to_owned(),
            spend: NanoDollars(first),
            prompt_tokens: 100,
            completion_tokens: 200,
            cache_read_tokens: 30,
            cache_write_tokens: 40,
            requests: 10,
            successes: 9,
            failures: 1,
            duration_ms: 10_000,
            ..Activity::default()
        };
        assert_eq!((by_day.len(), &by_day[0], by_day[1].spend, by_day[1].failures), (2, &wanted, NanoDollars(109), 1));

        let names = |rows: &[Activity], name: fn(&Activity) -> &str| rows.iter().map(|row| name(row).to_owned()).collect::<Vec<_>>();
        let by_model = store.activity(&of("team"), &[By::Id, By::Model], 100).await.unwrap();
        assert_eq!(names(&by_model, |row| &row.id), ["even", "odd"]);
        assert_eq!(names(&by_model, |row| &row.model), ["model-0", "model-1"]);
        let tags = store.activity(&of("tag"), &[By::Id], 100).await.unwrap();
        assert_eq!(names(&tags, |row| &row.id), ["other", "tag"]);
        let customers = store.activity(&of("customer"), &[By::Id, By::Key, By::Provider], 100).await.unwrap();
        assert_eq!((customers[0].id.as_str(), customers[0].api_key.as_str(), customers[0].provider.as_str()), ("customer", "key-1", "openai"));
        let one = ActivityFilter {
            ids: Some(texts(["odd"])),
            api_keys: Some(texts(["key-1", "x"])),
            model: Some("model-1".to_owned()),
            from: Some("2023-11-14".to_owned()),
            to: Some("2023-11-14".to_owned()),
            ..of("team")
        };
        assert_eq!(store.activity(&one, &[], 9).await.unwrap()[0].spend, NanoDollars(101 + 107));
        assert!(store.activity(&ActivityFilter { ids: Some(Vec::new()), ..of("team") }, &[], 9).await.unwrap().is_empty());
        assert!(store.activity(&of("agent"), &[], 9).await.unwrap().is_empty());
        let limited = store.activity(&of("global"), &[By::Key], 2).await.unwrap();
        assert_eq!(names(&limited, |row| &row.api_key), ["key-1", "key-0"]);

        // The same from rows, for any moments.
        let some = store.activity_between(later(1), later(4), Some((Of::User, "user")), &[By::Model], 9).await.unwrap();
        assert_eq!(names(&some, |row| &row.model), ["model-1", "model-0"]);
        assert_eq!((some[0].spend, some[0].requests, some[0].prompt_tokens), (NanoDollars(101 + 103), 2, 20));
        assert!(store.activity_between(later(1), later(4), Some((Of::Team, "x")), &[], 9).await.unwrap().is_empty());

        assert_eq!(store.prune_daily("2023-11-15", 3).await.unwrap(), 3);
        assert!(store.prune_daily("2023-11-15", 1000).await.unwrap() > 3);
        let left = store.activity(&of("global"), &[By::Date], 100).await.unwrap();
        assert_eq!(names(&left, |row| &row.date), ["2023-11-15"]);
    }

    async fn the_log_is_filtered_sorted_and_paged(world: World) {
        let store = world.store;
        let mut booked: Vec<Booked> = (0..10).map(|number| attempt(number, (number * 7) % 10)).collect();
        booked[3].row.session_id = Some("session".to_owned());
        booked[3].row.organization_id = Some("o".to_owned());
        booked[3].row.cache_hit = Some("True".to_owned());
        booked[3].row.key_alias = Some("alias".to_owned());
        booked[3].row.model_group = Some("group".to_owned());
        booked[3].row.model_id = Some("deployment".to_owned());
        booked[3].row.error_code = Some("500".to_owned());
        store.book(&batch(0, booked)).await.unwrap();
        let all = LogFilter::default;
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            (all(), "0123456789"),
            (LogFilter { from: Some(later(2)), to: Some(later(5)), ..all() }, "234"),
            (LogFilter { api_keys: Some(texts(["key-1", "x"])), ..all() }, "147"),
            (LogFilter { api_keys: Some(Vec::new()), ..all() }, ""),
            (LogFilter { team_ids: Some(texts(["even"])), ..all() }, "02468"),
            (LogFilter { user_id: some("user"), status: some("failure"), ..all() }, "49"),
            (LogFilter { end_user: some("customer"), ..all() }, "1"),
            (LogFilter { request_id: some("chatcmpl-5"), ..all() }, "5"),
            (LogFilter { request_id: some("call-6"), ..all() }, "6"),
            (LogFilter { request_id: some("attempt-7"), ..all() }, "7"),
            (LogFilter { model: some("model-1"), min_spend: Some(NanoDollars(5)), ..all() }, "157"),
            (LogFilter { max_spend: Some(NanoDollars(1)), ..all() }, "03"),
            (LogFilter { error_message: some("AT 50%"), ..all() }, "49"),
            (LogFilter { session_id: some("session"), organization_id: some("o"), cache_hit: some("True"), ..all() }, "3"),
            (LogFilter { key_alias: some("alias"), model_group: some("group"), model_id: some("deployment"), error_code: some("500"), ..all() }, "3"),
        ];
        for (filter, wanted) in cases {
            let listing = LogListing { filter, limit: 100, count_upto: 100, ..LogListing::default() };
            let found = store.spend_logs(&listing).await.unwrap();
            let names: String = found.rows.iter().map(|row| row.row_id.trim_start_matches("row-")).collect();
            assert_eq!((names.as_str(), found.total), (wanted, i64::try_from(wanted.len()).unwrap()), "{listing:?}");
        }
        let page = LogListing { sort: LogSort::Spend, descending: true, offset: 1, limit: 2, count_upto: 5, ..LogListing::default() };
        let found = store.spend_logs(&page).await.unwrap();
        assert_eq!((found.rows.iter().map(|row| row.spend.0).collect::<Vec<_>>(), found.total), (vec![8, 7], 5));
        for sort in [LogSort::EndedAt, LogSort::TotalTokens, LogSort::Duration, LogSort::Model] {
            let page = LogListing { sort, limit: 3, ..LogListing::default() };
            assert_eq!(store.spend_logs(&page).await.unwrap().rows.len(), 3, "{sort:?}");
        }
    }

    async fn what_is_pruned_is_kept_in_the_sums(world: World) {
        let store = world.store;
        store.prepare_days(NOW, 1, NOW).await.unwrap();
        store.book(&attempts(0..50)).await.unwrap();
        let before = total(&store, "team", "odd").await;
        assert_eq!(store.prune_spend(later(30), 10).await.unwrap(), 10);
        assert_eq!(store.prune_spend(later(30), 1000).await.unwrap(), 20);
        assert_eq!(store.prune_spend(later(30), 1000).await.unwrap(), 0);
        let everything = LogListing { limit: 100, count_upto: 100, ..LogListing::default() };
        assert_eq!(store.spend_logs(&everything).await.unwrap().total, 20);
        assert_eq!(total(&store, "team", "odd").await, before);
        sound(&store).await;
        // The batch is not booked again, though its rows are gone.
        assert_eq!(store.book(&attempts(0..50)).await.unwrap(), Projected::At(50));
    }

    async fn two_who_prune_fold_each_row_once(world: World) {
        let other = world.again().await;
        world.store.book(&attempts(0..400)).await.unwrap();
        let (one, two) = tokio::join!(world.store.prune_spend(later(300), 1000), other.prune_spend(later(300), 1000));
        assert_eq!(one.unwrap() + two.unwrap(), 300);
        sound(&other).await;
    }

    async fn a_total_that_was_tampered_with_is_found(world: World) {
        world.store.book(&attempts(0..5)).await.unwrap();
        world.run("UPDATE totals SET settled = settled + 1 WHERE kind = 'team' AND id = 'odd' AND window_start = 0").await;
        let found = world.store.verify_totals().await.unwrap();
        assert_eq!((found.len(), &found[0].window), (1, &window("team", "odd", 0)));
        assert_eq!(found[0].settled, (NanoDollars(5), NanoDollars(4)));
        world.run("UPDATE totals SET settled = settled - 1 WHERE kind = 'team' AND id = 'odd' AND window_start = 0; \
                   DELETE FROM spend WHERE row_id = 'row-4'").await;
        assert_eq!(world.store.verify_totals().await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn each_day_of_postgres_is_a_partition_that_goes_when_it_is_empty() {
    let server = Postgres::shared();
    let address = server.database();
    let name = address.rsplit('/').next().unwrap().to_owned();
    let settings = StoreSettings::at(Place::Postgres(Secret::new(address)));
    let store = Store::open(&settings, NOW).await.unwrap();
    let days = || server.run_in(&name, "SELECT relname FROM pg_class WHERE relname ~ '^spend_day_[0-9]+$' ORDER BY 1");
    let today = NOW.0 / 86_400_000;
    let other = Store::open(&settings, NOW).await.unwrap();
    let (one, two) = tokio::join!(store.prepare_days(NOW, 1, NOW), other.prepare_days(NOW, 1, NOW));
    one.and(two).unwrap();
    assert_eq!(days(), format!("spend_day_{today}\nspend_day_{}", today + 1));

    store.book(&attempts(0..10)).await.unwrap();
    let rows = format!("SELECT count(*) FROM tollgate.spend_day_{today}");
    assert_eq!(server.run_in(&name, &rows), "10");
    // A day that has rows already stays in the common partition.
    let later = EpochMs(NOW.0 + 5 * 86_400_000);
    let mut early = attempt(77, 1);
    early.row.started_at = later;
    store.book(&batch(10, vec![early])).await.unwrap();
    store.prepare_days(later, 0, NOW).await.unwrap();
    assert!(!days().contains(&format!("spend_day_{}", today + 5)));

    store.prepare_days(later, 1, later).await.unwrap();
    assert!(days().contains(&format!("spend_day_{today}")), "a day with rows went");
    assert!(!days().contains(&format!("spend_day_{}", today + 1)), "a day without rows stayed");
    store.prune_spend(later, 100).await.unwrap();
    store.prepare_days(later, 1, later).await.unwrap();
    assert_eq!(days(), format!("spend_day_{}", today + 6));
    sound(&store).await;
}

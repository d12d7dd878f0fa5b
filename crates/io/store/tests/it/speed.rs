//! How fast it is: figures for the ADR, measured by hand with
//! `cargo test -p tollgate-store --profile bench --test it -- --ignored --nocapture --test-threads 1 speed`.

use std::time::Duration;

use tokio::time::Instant;
use tollgate_kit::Postgres;
use tollgate_store::{
    ActivityFilter, Budget, By, EpochMs, Instance, Key, KeyFilter, KeyListing, KeySort, KeyState, Leased, LogListing,
    Member, NanoDollars, Organization, Page, Place, Sort, Store, StoreSettings, Team, User, UserFilter, Window, Wish,
};
use tollgate_wire::Secret;

use crate::{
    spend::attempts,
    world::{NOW, World, key, later, stamp},
};

/// The slowest that a list may be (issue 5, acceptance 6).
const BOUND: Duration = Duration::from_millis(300);

async fn book_many(store: &Store, engine: &str) {
    let batches: Vec<_> = (0..100).map(|number| attempts(number * 500..number * 500 + 500)).collect();
    let begun = Instant::now();
    for batch in &batches {
        store.book(batch).await.unwrap();
    }
    let took = begun.elapsed();
    println!("{engine}: {:.0} rows/s booked in commits of 500", 50_000.0 / took.as_secs_f64());
    let begun = Instant::now();
    assert_eq!(store.verify_totals().await.unwrap(), []);
    println!("{engine}: {:.0} rows/s verified", 50_000.0 / begun.elapsed().as_secs_f64());
}

async fn ask_many(store: &Store, engine: &str) {
    let by = stamp(0);
    let budget = |id: &str| Budget { budget_id: id.to_owned(), ..Budget::default() };
    store.insert_budget(&budget("b"), &by).await.unwrap();
    store.insert_user(&User { user_id: "u".to_owned(), ..User::default() }, &by).await.unwrap();
    let budget_id = Some("b".to_owned());
    let organization =
        Organization { organization_id: "o".to_owned(), budget_id: budget_id.clone(), ..Organization::default() };
    store.insert_organization(&organization, &by).await.unwrap();
    let organization_id = Some("o".to_owned());
    store.insert_team(&Team { team_id: "t".to_owned(), organization_id, ..Team::default() }, &by).await.unwrap();
    let member =
        Member { team_id: "t".to_owned(), user_id: "u".to_owned(), budget_id: budget_id.clone(), ..Member::default() };
    store.insert_member(&member, &by).await.unwrap();
    let (user_id, team_id) = (Some("u".to_owned()), Some("t".to_owned()));
    let of = |number: i32| Key {
        user_id: user_id.clone(),
        team_id: team_id.clone(),
        budget_id: budget_id.clone(),
        ..key(&format!("{number:064x}"))
    };
    store.insert_keys(&(0..10_000).map(of).collect::<Vec<_>>(), &by).await.unwrap();
    let mut took = Vec::new();
    for number in 0..5_000 {
        let token = format!("{:064x}", number * 7919 % 10_000);
        let begun = Instant::now();
        let found = store.find_key(&token, NOW).await.unwrap().unwrap();
        took.push(begun.elapsed());
        assert!(found.organization_budget.is_some() && found.member_budget.is_some());
    }
    took.sort();
    println!("{engine}: find_key p50 {:?}, p99 {:?}", took[2_500], took[4_950]);
}

async fn lease_many(store: &Store, engine: &str) {
    let instance = Instance {
        instance: "i".to_owned(),
        journal: "j".to_owned(),
        started_at: NOW,
        heartbeat_at: NOW,
        ..Instance::default()
    };
    store.enter(&instance).await.unwrap();
    let wish = |kind: &str| Wish {
        window: Window { kind: kind.to_owned(), id: "x".to_owned(), start: EpochMs(0) },
        budget: NanoDollars(1_000_000_000_000),
        need: NanoDollars(1000),
        want: NanoDollars(10_000),
    };
    let wishes = [wish("key"), wish("team"), wish("user"), wish("organization")];
    let mut took = Vec::new();
    for _ in 0..500 {
        let begun = Instant::now();
        assert!(matches!(store.lease("i", NOW, &wishes).await.unwrap(), Leased::Granted(_)));
        took.push(begun.elapsed());
    }
    took.sort();
    println!("{engine}: lease of four windows p50 {:?}, p99 {:?}", took[250], took[495]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures for the ADR"]
async fn speed_of_sqlite() {
    let world = World::sqlite().await;
    ask_many(&world.store, "SQLite").await;
    lease_many(&world.store, "SQLite").await;
    book_many(&world.store, "SQLite").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures for the ADR"]
async fn speed_of_postgres() {
    let world = World::postgres().await;
    ask_many(&world.store, "PostgreSQL").await;
    lease_many(&world.store, "PostgreSQL").await;
    book_many(&world.store, "PostgreSQL").await;
}

/// A million keys of a thousand users and a hundred teams, a tenth of which spent something; and a million rows of spend.
const MILLION: [&str; 5] = [
    "INSERT INTO tollgate.keys (token, origin, key_name, key_alias, user_id, team_id, blocked, models, metadata, aliases, permissions, \
     max_budget, tpm_limit, rpm_limit, rotation_count, rest, created_at, created_by, updated_at, version) \
     SELECT encode(sha256(n::text::bytea), 'hex'), 'origin-' || n, 'sk-...' || n % 9999, 'alias-' || n, 'user-' || n % 1000, \
     'team-' || n % 100, CASE WHEN n % 50 = 0 THEN true END, '[\"gpt-5\",\"claude\"]', '{\"note\":\"' || repeat('x', 200) || '\"}', \
     '{}', '{}', 10000000000, 1000, 100, 0, '{}', 1700000000000 + n, 'admin', 1700000000000 + n * 7 % 1000003, 1 \
     FROM generate_series(1, 1000000) AS n",
    "INSERT INTO tollgate.totals SELECT 'key', 'origin-' || n, 0, CASE WHEN n::bigint * 7919 % 1000003 < 100000 THEN n ELSE 0 END, 0, 0 \
     FROM generate_series(1, 1000000) AS n",
    "INSERT INTO tollgate.users (user_id, user_email, created_at, updated_at, version) \
     SELECT 'user-' || n, 'user-' || n || '@example.org', n, n, 1 FROM generate_series(0, 999) AS n",
    "INSERT INTO tollgate.spend (row_id, started_at, ended_at, request_duration_ms, attempt_id, call_id, request_id, call_type, status, \
     spend, certainty, total_tokens, prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens, api_key, user_id, team_id, \
     model, windows) SELECT 'row-' || n, 1700000000000 + n * 100, 1700000000000 + n * 100, 5, 'a-' || n, 'c-' || n, 'r-' || n, \
     'acompletion', 'success', n, 'stated', 3, 1, 2, 0, 0, encode(sha256((n % 1000)::text::bytea), 'hex'), 'user-' || n % 1000, \
     'team-' || n % 100, 'gpt-5', '' FROM generate_series(1, 1000000) AS n",
    "VACUUM ANALYZE",
];

/// What took how long, and what took too long.
#[derive(Default)]
struct Told {
    slow: Vec<String>,
}

impl Told {
    fn tell(&mut self, what: String, begun: Instant) {
        let took = begun.elapsed();
        println!("{took:>12.1?}  {what}");
        if took > BOUND {
            self.slow.push(what);
        }
    }
}

async fn page_through(store: &Store, told: &mut Told) {
    let sorts = [
        KeySort::CreatedAt,
        KeySort::UpdatedAt,
        KeySort::Alias,
        KeySort::Name,
        KeySort::Spend,
        KeySort::MaxBudget,
        KeySort::Expires,
        KeySort::User,
        KeySort::Team,
        KeySort::Token,
    ];
    for (sort, descending) in sorts.into_iter().flat_map(|sort| [(sort, true), (sort, false)]) {
        let listing = KeyListing { sort, descending, limit: 100, count: true, ..KeyListing::default() };
        let begun = Instant::now();
        let page = store.list_keys(&listing).await.unwrap();
        told.tell(format!("first page by {sort:?}, descending {descending}, counted"), begun);
        assert_eq!((page.keys.len(), page.total), (100, Some(1_000_000)));
        let begun = Instant::now();
        let next = store.list_keys(&KeyListing { after: page.next, count: false, ..listing }).await.unwrap();
        told.tell(format!("next page by {sort:?}, descending {descending}"), begun);
        assert_eq!(next.keys.len(), 100);
        let begun = Instant::now();
        let far = KeyListing { sort, descending, offset: 900_000, limit: 100, ..KeyListing::default() };
        assert_eq!(store.list_keys(&far).await.unwrap().keys.len(), 100);
        // Bounded by nothing: whoever goes so far does it by the last key.
        println!("{:>12.1?}  page 9,001 by {sort:?}, descending {descending}", begun.elapsed());
    }
}

async fn filter_all(store: &Store, told: &mut Told) {
    let all = KeyFilter::default;
    let some = |text: &str| Some(text.to_owned());
    let filters = [
        KeyFilter { user_id: some("user-7"), ..all() },
        KeyFilter { user_id: some("user-7"), teams: vec!["team-8".to_owned()], creator: some("user-7"), ..all() },
        KeyFilter { team_id: some("team-7"), ..all() },
        KeyFilter { key_alias: some("alias-77"), ..all() },
        KeyFilter { alias_contains: some("alias-9999"), ..all() },
        KeyFilter { search: some("999999"), ..all() },
        KeyFilter { state: Some(KeyState::Active(later(1))), ..all() },
        KeyFilter { state: Some(KeyState::Expired(later(1))), ..all() },
        KeyFilter { state: Some(KeyState::Blocked), ..all() },
        KeyFilter { has_spent: true, ..all() },
        KeyFilter { without_team: some("litellm-dashboard"), ..all() },
    ];
    for (filter, sort) in filters.iter().flat_map(|filter| [(filter, KeySort::CreatedAt), (filter, KeySort::Spend)]) {
        let filter = filter.clone();
        let what = format!("{filter:?}").replace(": None", "");
        // `/spend/keys` is a list without a number of all.
        let count = !filter.has_spent;
        let listing = KeyListing { filter, sort, descending: true, limit: 100, count, ..KeyListing::default() };
        let begun = Instant::now();
        let page = store.list_keys(&listing).await.unwrap();
        told.tell(format!("{} of {:?} by {sort:?}: {what}", page.keys.len(), page.total), begun);
    }
}

async fn look_at_spend(store: &Store, told: &mut Told) {
    let begun = Instant::now();
    store.list_users(&UserFilter::default(), Sort::Spend, true, Page { offset: 0, limit: 25 }).await.unwrap();
    told.tell("users by spend".to_owned(), begun);
    let begun = Instant::now();
    let logs = LogListing { descending: true, limit: 50, count_upto: 10_000, ..LogListing::default() };
    assert_eq!(store.spend_logs(&logs).await.unwrap().total, 10_000);
    told.tell("the newest of a million rows of spend, counted to 10,000".to_owned(), begun);
    let begun = Instant::now();
    let whole = ActivityFilter { kind: "global".to_owned(), ..ActivityFilter::default() };
    store.activity(&whole, &[By::Date], 100).await.unwrap();
    told.tell("activity by day".to_owned(), begun);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures for the ADR; takes minutes"]
async fn speed_with_a_million_keys() {
    let server = Postgres::shared();
    let address = server.database();
    let store = Store::open(&StoreSettings::at(Place::Postgres(Secret::new(address.clone()))), NOW).await.unwrap();
    let name = address.rsplit('/').next().unwrap();
    for statement in MILLION {
        server.run_in(name, statement);
    }
    let mut told = Told::default();
    page_through(&store, &mut told).await;
    filter_all(&store, &mut told).await;
    look_at_spend(&store, &mut told).await;
    assert!(told.slow.is_empty(), "slower than {BOUND:?}: {:#?}", told.slow);
}

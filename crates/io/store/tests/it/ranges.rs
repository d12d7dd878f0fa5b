//! Sums over rows between two moments: the same as those of days, and what only rows tell.

use tollgate_store::{Activity, ActivityFilter, By, CacheUse, EpochMs, Failures, SpendRow};

use crate::{
    spend::{attempt, batch},
    world::{both, later, texts},
};

fn of(kind: &str) -> ActivityFilter {
    ActivityFilter { kind: kind.to_owned(), ..ActivityFilter::default() }
}

both! {
    async fn rows_sum_up_to_what_their_days_say(world: World) {
        let store = world.store;
        store.book(&batch(0, (0..10).map(|number| attempt(number, 100 + number)).collect())).await.unwrap();
        let all = (later(0), later(100));
        for kind in ["global", "user", "team", "customer", "organization"] {
            for by in [&[By::Id, By::Model][..], &[By::Key, By::Provider, By::ModelGroup], &[]] {
                let days = store.activity(&of(kind), by, 100).await.unwrap();
                assert_eq!(store.activity_of_rows(all, &of(kind), by, 100).await.unwrap(), days, "{kind} {by:?}");
            }
        }
        let one = ActivityFilter {
            ids: Some(texts(["odd"])),
            api_keys: Some(texts(["key-1"])),
            model: Some("model-1".to_owned()),
            ..of("team")
        };
        let spent = async |range, filter: &ActivityFilter| -> i64 {
            let lines: Vec<Activity> = store.activity_of_rows(range, filter, &[], 9).await.unwrap();
            lines.iter().map(|line| line.spend.0).sum()
        };
        assert_eq!(spent(all, &one).await, 101 + 107);
        // The beginning is in it, the end is not.
        assert_eq!(spent((later(1), later(7)), &one).await, 101);
        assert_eq!(spent(all, &ActivityFilter { ids: Some(Vec::new()), ..of("team") }).await, 0);
        assert_eq!(spent(all, &of("tag")).await, 0);
    }

    async fn refusals_are_counted_by_day_and_address(world: World) {
        let store = world.store;
        let refused = |number: i64, day: i64, code: &str| {
            let mut one = attempt(number, 0);
            one.row = SpendRow {
                started_at: EpochMs(day * 86_400_000 + 1),
                model_group: Some("gpt".to_owned()),
                api_base: Some(format!("https://{}.example", number % 2)),
                error_code: Some(code.to_owned()),
                ..one.row
            };
            one
        };
        let booked = [(0, 19_675, "429"), (1, 19_675, "429"), (2, 19_675, "429"), (3, 19_676, "429"), (4, 19_676, "500")];
        store.book(&batch(0, booked.map(|(number, day, code)| refused(number, day, code)).to_vec())).await.unwrap();
        let range = (EpochMs(19_675 * 86_400_000), EpochMs(19_677 * 86_400_000));
        let line = |day, one: i64, count| Failures { day, api_base: format!("https://{one}.example"), count };
        let found = store.failures(range, "gpt", "429", 9).await.unwrap();
        assert_eq!(found, [line(19_675, 0, 2), line(19_675, 1, 1), line(19_676, 1, 1)]);
        assert_eq!(store.failures(range, "gpt", "429", 1).await.unwrap().len(), 1);
        assert_eq!(store.failures(range, "other", "429", 9).await.unwrap(), []);
    }

    async fn what_caches_spared_is_told_by_key_and_model(world: World) {
        let store = world.store;
        let mut booked: Vec<_> = (0..6).map(|number| attempt(number, 1)).collect();
        for one in booked.iter_mut().take(3) {
            one.row.cache_hit = Some("True".to_owned());
        }
        booked[3].row.cache_hit = Some("False".to_owned());
        store.book(&batch(0, booked)).await.unwrap();
        let keys = texts(["key-0"]);
        let found = store.cache_use((later(0), later(100)), Some(&keys), None, 9).await.unwrap();
        let line = |model: &str, hits, cached_tokens, made_tokens| CacheUse {
            api_key: "key-0".to_owned(),
            call_type: "acompletion".to_owned(),
            model: model.to_owned(),
            requests: 1,
            hits,
            cached_tokens,
            made_tokens,
        };
        assert_eq!(found, [line("model-0", 1, 20, 0), line("model-1", 0, 0, 20)]);
        let models = texts(["model-1"]);
        let found = store.cache_use((later(0), later(100)), None, Some(&models), 9).await.unwrap();
        assert_eq!(found.iter().map(|line| (line.requests, line.hits)).collect::<Vec<_>>(), [(1, 0), (1, 1), (1, 0)]);
        assert_eq!(store.cache_use((later(0), later(100)), None, None, 2).await.unwrap().len(), 2);
    }
}

//! Leases: no budget is moved twice, whoever asks at the same time and whoever dies.

use tollgate_store::{
    Batch, Burial, EpochMs, Grant, Instance, Leased, NanoDollars, Page, Store, UnknownAttempt, Window, Windows, Wish,
};

use crate::{
    spend::{attempt, batch},
    world::{NOW, both, later},
};

fn window(id: &str) -> Window {
    Window { kind: "key".to_owned(), id: id.to_owned(), start: EpochMs(0) }
}

fn wish(id: &str, budget: i64, need: i64, want: i64) -> Wish {
    Wish { window: window(id), budget: NanoDollars(budget), need: NanoDollars(need), want: NanoDollars(want) }
}

fn grant(granted: i64, left: i64, gone: i64) -> Grant {
    Grant { granted: NanoDollars(granted), left: NanoDollars(left), gone: NanoDollars(gone) }
}

async fn enter(store: &Store, name: &str) {
    let (instance, journal, host) = (name.to_owned(), format!("journal-{name}"), "host".to_owned());
    store.enter(&Instance { instance, journal, host, started_at: NOW, heartbeat_at: NOW }).await.unwrap();
}

/// What an instance spent of its lease, on its way into the store.
fn spent(instance: &str, after: i64, amounts: &[(&str, i64)]) -> Batch {
    let booked = amounts.iter().zip(after..).map(|((id, amount), number)| {
        let mut booked = attempt(number, *amount);
        booked.row.row_id = format!("{instance}-{number}");
        booked.row.windows = Windows(vec![window(id)]);
        booked.leased = true;
        booked
    });
    let (journal, instance) = (format!("journal-{instance}"), Some(instance.to_owned()));
    Batch { journal, instance, ..batch(after, booked.collect()) }
}

both! {
    async fn money_is_moved_as_far_as_there_is_any(world: World) {
        let store = world.store;
        enter(&store, "a").await;
        enter(&store, "b").await;
        let first = store.lease("a", NOW, &[wish("k", 100, 10, 60)]).await.unwrap();
        assert_eq!(first, Leased::Granted(vec![grant(60, 40, 0)]));
        // What is left, if it is enough.
        let second = store.lease("b", NOW, &[wish("k", 100, 10, 60)]).await.unwrap();
        assert_eq!(second, Leased::Granted(vec![grant(40, 0, 0)]));
        let third = store.lease("a", NOW, &[wish("k", 100, 1, 60)]).await.unwrap();
        assert_eq!(third, Leased::Refused { wish: 0, left: NanoDollars(0), gone: NanoDollars(0) });
        // Who needs nothing is not refused; who may spend more now gets more; who may spend less gets nothing.
        assert_eq!(store.lease("a", NOW, &[wish("k", 100, 0, 60)]).await.unwrap(), Leased::Granted(vec![grant(0, 0, 0)]));
        assert_eq!(store.lease("a", NOW, &[wish("k", 105, 1, 9)]).await.unwrap(), Leased::Granted(vec![grant(5, 0, 0)]));
        let less = store.lease("a", NOW, &[wish("k", 50, 1, 9)]).await.unwrap();
        assert_eq!(less, Leased::Refused { wish: 0, left: NanoDollars(0), gone: NanoDollars(0) });
    }

    async fn all_windows_of_a_call_are_moved_or_none(world: World) {
        let store = world.store;
        enter(&store, "a").await;
        let both = [wish("z", 100, 10, 10), wish("k", 5, 10, 10)];
        let refused = store.lease("a", NOW, &both).await.unwrap();
        assert_eq!(refused, Leased::Refused { wish: 1, left: NanoDollars(5), gone: NanoDollars(0) });
        let alone = store.lease("a", NOW, &both[..1]).await.unwrap();
        assert_eq!(alone, Leased::Granted(vec![grant(10, 90, 0)]));
        assert_eq!(store.lease("a", NOW, &[]).await.unwrap(), Leased::Granted(Vec::new()));
    }

    async fn what_is_booked_was_leased_before_and_is_counted_once(world: World) {
        let store = world.store;
        enter(&store, "a").await;
        store.lease("a", NOW, &[wish("k", 100, 50, 50)]).await.unwrap();
        store.book(&spent("a", 0, &[("k", 30)])).await.unwrap();
        // 30 are spent and 20 are with the instance.
        let more = store.lease("a", NOW, &[wish("k", 100, 0, 0)]).await.unwrap();
        assert_eq!(more, Leased::Granted(vec![grant(0, 50, 30)]));
        store.give_back("a", &[(window("k"), NanoDollars(15))]).await.unwrap();
        let more = store.lease("a", NOW, &[wish("k", 100, 65, 65)]).await.unwrap();
        assert_eq!(more, Leased::Granted(vec![grant(65, 0, 30)]));
        // More cannot come back than was not used.
        store.give_back("a", &[(window("k"), NanoDollars(1000))]).await.unwrap();
        let more = store.lease("a", NOW, &[wish("k", 100, 0, 1000)]).await.unwrap();
        assert_eq!(more, Leased::Granted(vec![grant(70, 0, 30)]));
        // What cost more than was leased is spent as well.
        store.book(&spent("a", 1, &[("k", 90)])).await.unwrap();
        let over = store.lease("a", NOW, &[wish("k", 100, 1, 1)]).await.unwrap();
        assert_eq!(over, Leased::Refused { wish: 0, left: NanoDollars(0), gone: NanoDollars(120) });
    }

    async fn a_correction_is_not_paid_from_a_lease(world: World) {
        let store = world.store;
        enter(&store, "a").await;
        store.lease("a", NOW, &[wish("k", 100, 50, 50)]).await.unwrap();
        let mut correction = spent("a", 0, &[("k", -20)]);
        correction.booked[0].leased = false;
        store.book(&correction).await.unwrap();
        let more = store.lease("a", NOW, &[wish("k", 100, 0, 0)]).await.unwrap();
        assert_eq!(more, Leased::Granted(vec![grant(0, 70, -20)]));
    }

    async fn instances_that_race_never_get_more_than_the_budget(world: World) {
        let other = world.again().await;
        enter(&world.store, "a").await;
        enter(&other, "b").await;
        // In opposite orders, so that locks in the order of wishes would make a circle.
        let ask = async |store: &Store, instance: &'static str, backwards: bool| {
            let (mut granted, mut position) = ([0, 0], 0);
            for round in 0..40 {
                let mut wishes = vec![wish("k", 1000, 7, 31), wish("z", 700, 7, 31)];
                if backwards {
                    wishes.reverse();
                }
                match store.lease(instance, NOW, &wishes).await.unwrap() {
                    Leased::Granted(mut grants) => {
                        if backwards {
                            grants.reverse();
                        }
                        granted[0] += grants[0].granted.0;
                        granted[1] += grants[1].granted.0;
                    }
                    Leased::Refused { .. } => break,
                    Leased::Buried => panic!("buried alive"),
                }
                // Some of it is spent meanwhile, and some goes back.
                if round % 3 == 0 {
                    store.book(&spent(instance, position, &[("k", 5), ("z", 3)])).await.unwrap();
                    position += 2;
                }
                if round % 4 == 0 {
                    store.give_back(instance, &[(window("z"), NanoDollars(2)), (window("k"), NanoDollars(2))]).await.unwrap();
                    granted = granted.map(|granted| granted - 2);
                }
                store.heartbeat(instance, NOW, &[(window("k"), NanoDollars(5)), (window("z"), NanoDollars(1))]).await.unwrap();
            }
            granted
        };
        let (one, two) = tokio::join!(ask(&world.store, "a", false), ask(&other, "b", true));
        for (number, (id, budget)) in [("k", 1000), ("z", 700)].into_iter().enumerate() {
            let moved = one[number] + two[number];
            let left = match world.store.lease("a", NOW, &[wish(id, budget, 0, 0)]).await.unwrap() {
                Leased::Granted(grants) => grants[0].left.0,
                other => panic!("{other:?}"),
            };
            assert_eq!(moved + left, budget, "{id}");
        }
        assert!(one[1] + two[1] > 680, "{one:?} {two:?}");
    }

    async fn what_the_dead_had_goes_back_or_becomes_unknown(world: World) {
        let store = world.store;
        for name in ["a", "b", "c"] {
            enter(&store, name).await;
            store.lease(name, NOW, &[wish("k", 100, 20, 20)]).await.unwrap();
            store.book(&spent(name, 0, &[("k", 5)])).await.unwrap();
            assert!(store.heartbeat(name, later(10), &[(window("k"), NanoDollars(8))]).await.unwrap());
        }
        assert_eq!(store.silent_instances(later(10)).await.unwrap(), []);
        assert_eq!(store.bury("a", later(10), false, later(40)).await.unwrap(), None);
        assert!(store.heartbeat("c", later(39), &[]).await.unwrap());
        // A clock that goes back is no sign of death.
        assert!(store.heartbeat("c", later(1), &[]).await.unwrap());
        let silent = store.silent_instances(later(11)).await.unwrap();
        assert_eq!(silent.iter().map(|instance| instance.journal.as_str()).collect::<Vec<_>>(), ["journal-a", "journal-b"]);

        // One journal is there and booked to its end, the other one is lost with its disk.
        let booked = store.bury("a", later(11), true, later(40)).await.unwrap();
        assert_eq!(booked, Some(Burial { unknown: NanoDollars(0), returned: NanoDollars(15) }));
        let lost = store.bury("b", later(11), false, later(40)).await.unwrap();
        assert_eq!(lost, Some(Burial { unknown: NanoDollars(8), returned: NanoDollars(7) }));
        assert_eq!(store.bury("b", later(11), false, later(40)).await.unwrap(), None);
        assert_eq!(store.unknown_sum().await.unwrap(), (1, NanoDollars(8)));
        assert_eq!(store.verify_totals().await.unwrap(), []);

        // 15 spent, 8 unknown, 15 with the living one.
        let rest = store.lease("c", NOW, &[wish("k", 100, 62, 62)]).await.unwrap();
        assert_eq!(rest, Leased::Granted(vec![grant(62, 0, 23)]));
        // Who was taken for dead and was not is told so, and gets nothing.
        assert!(!store.heartbeat("b", later(50), &[]).await.unwrap());
        assert_eq!(store.lease("b", later(50), &[wish("k", 100, 0, 1)]).await.unwrap(), Leased::Buried);
        // What it spent is booked all the same, and the held lease is let go when somebody has looked at it.
        let found = store.unknown_attempts(later(100), Page { offset: 0, limit: 9 }).await.unwrap();
        let mut late = spent("b", 1, &[("k", 8)]);
        late.booked[0].row.attempt_id.clone_from(&found[0].attempt_id);
        late.booked[0].states = true;
        store.book(&late).await.unwrap();
        assert_eq!(store.verify_totals().await.unwrap(), []);
        assert_eq!(store.leave("c", later(60)).await.unwrap().unwrap().returned, NanoDollars(77));
        enter(&store, "d").await;
        let rest = store.lease("d", NOW, &[wish("k", 100, 0, 0)]).await.unwrap();
        assert_eq!(rest, Leased::Granted(vec![grant(0, 77, 23)]));
    }

    async fn an_attempt_that_becomes_unknown_leaves_the_lease(world: World) {
        let store = world.store;
        enter(&store, "a").await;
        store.lease("a", NOW, &[wish("k", 100, 50, 50)]).await.unwrap();
        let held = NanoDollars(30);
        let lost = UnknownAttempt { attempt_id: "x".to_owned(), held, windows: Windows(vec![window("k")]), ..Default::default() };
        let unknown = Batch { unknown: vec![lost], upto: 1, ..spent("a", 0, &[]) };
        store.book(&unknown).await.unwrap();
        // 30 are unknown and 20 are with the instance.
        assert_eq!(store.lease("a", NOW, &[wish("k", 100, 0, 0)]).await.unwrap(), Leased::Granted(vec![grant(0, 50, 30)]));
        let mut known = spent("a", 1, &[("k", 10)]);
        known.booked[0].row.attempt_id = "x".to_owned();
        (known.booked[0].leased, known.booked[0].states) = (false, true);
        store.book(&known).await.unwrap();
        assert_eq!(store.lease("a", NOW, &[wish("k", 100, 0, 0)]).await.unwrap(), Leased::Granted(vec![grant(0, 70, 10)]));
    }

    async fn of_two_who_bury_one_does_it(world: World) {
        let other = world.again().await;
        enter(&world.store, "a").await;
        world.store.lease("a", NOW, &[wish("k", 100, 50, 50)]).await.unwrap();
        world.store.heartbeat("a", NOW, &[(window("k"), NanoDollars(50))]).await.unwrap();
        let (one, two) = tokio::join!(
            world.store.bury("a", later(1), false, later(40)),
            other.bury("a", later(1), false, later(40)),
        );
        let burials: Vec<Burial> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
        assert_eq!(burials, [Burial { unknown: NanoDollars(50), returned: NanoDollars(0) }]);
        assert_eq!(world.store.unknown_sum().await.unwrap(), (1, NanoDollars(50)));
    }
}

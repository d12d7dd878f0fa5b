//! Simulations with a virtual clock: what routing promises, held in whole runs of thousands of calls.

mod clockwork;
mod oaths;

use std::time::Duration;

use clockwork::{Clockwork, Deed, Fact, Try};
use proptest::prelude::*;
use tollgate_router::{
    Asked, Awaits, Deployment, FallbackList, Fallbacks, Fleet, Hedging, Policy, RestRules, Rules, Strategy as Picking,
    Wants,
};
use tollgate_wire::{Failure, FailureKind};

use crate::kit::{at, failure, fleet, list, seed};

const ALL: [Picking; 7] = [
    Picking::Shuffle,
    Picking::LeastBusy,
    Picking::LeastUsed,
    Picking::Fastest,
    Picking::Cheapest,
    Picking::TwoChoices,
    Picking::CacheAffinity,
];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An answer after this long.
fn well(takes: Duration, tokens: u64) -> Deed {
    Deed { takes, content: None, end: Ok(tokens) }
}

fn badly(takes: Duration, kind: FailureKind) -> Deed {
    Deed { takes, content: None, end: Err(failure(kind)) }
}

/// A number from `least` up to `most` out of chance.
fn between(chance: &mut u64, least: u64, most: u64) -> u64 {
    *chance = seed(*chance);
    least + *chance % (most - least + 1)
}

/// Runs calls that come at an even pace, `rate` a second, and checks what always holds.
fn paced(
    fleet: &Fleet,
    rate: u64,
    seconds: u64,
    asked: impl Fn(u64) -> Asked,
    deed: impl FnMut(&Try) -> Deed,
) -> Vec<Fact> {
    let mut world = Clockwork::new(fleet, "g", 7, deed);
    for number in 0..rate * seconds {
        world.arrive(at(1_000) + Duration::from_micros(number * 1_000_000 / rate), asked(number));
    }
    let facts = world.run();
    oaths::check(fleet, &facts);
    facts
}

fn plain(_: u64) -> Asked {
    Asked { deadline: Some(at(100_000)), ..Asked::default() }
}

fn group(rules: Rules, count: usize, change: impl Fn(usize, &mut Deployment)) -> Fleet {
    fleet(rules, &vec!["g"; count], change)
}

fn began(facts: &[Fact]) -> impl Iterator<Item = &Try> {
    facts.iter().filter_map(|fact| if let Fact::Began(one) = fact { Some(one) } else { None })
}

fn failed(facts: &[Fact]) -> Vec<&Failure> {
    facts
        .iter()
        .filter_map(|fact| if let Fact::Done { failure, .. } = fact { failure.as_ref() } else { None })
        .collect()
}

fn shares(facts: &[Fact], count: usize) -> Vec<f64> {
    let mut counts = vec![0_u32; count];
    began(facts).for_each(|one| counts[one.deployment] += 1);
    let all: u32 = counts.iter().sum();
    counts.iter().map(|count| f64::from(*count) / f64::from(all)).collect()
}

#[test]
fn calls_are_shared_out_within_two_percent_of_the_weights() {
    let weights = [5.0, 3.0, 2.0];
    let fleet = group(Rules::default(), 3, |index, one| one.weight = Some(weights[index]));
    let facts = paced(&fleet, 1_000, 150, plain, |one| well(ms(20 + one.seed % 400), 50));
    for (index, share) in shares(&facts, 3).iter().enumerate() {
        let due = weights[index] / 10.0;
        assert!((share - due).abs() <= 0.02 * due, "{index}: {share} for {due}");
    }
}

#[test]
fn no_strategy_starves_a_deployment_that_is_as_good_as_the_others() {
    for strategy in ALL {
        // Without a buffer the fastest is one only, by the last ten answers; it changes, but seldom.
        let fleet = group(Rules { strategy, latency_buffer: 0.5, ..Rules::default() }, 5, |_, _| {});
        let key = |number| Wants { affinity: Some(seed(number)), ..Wants::default() };
        let asked = |number| Asked { wants: key(number), ..plain(number) };
        let facts = paced(&fleet, 50, 600, asked, |one| well(ms(300 + one.seed % 200), 10 + one.seed % 90));
        let least = shares(&facts, 5).into_iter().fold(1.0, f64::min);
        assert!(least > 0.1, "{strategy:?}: {:?}", shares(&facts, 5));
        assert!(failed(&facts).is_empty(), "{strategy:?}");
    }
}

#[test]
fn a_slow_answer_is_forgotten_after_an_hour() {
    let fleet = group(Rules { strategy: Picking::Fastest, ..Rules::default() }, 2, |_, _| {});
    let mut world = Clockwork::new(&fleet, "g", 7, |one| match (one.deployment, one.at < at(1_100)) {
        (0, true) => badly(at(1), FailureKind::Timeout),
        _ => well(ms(100), 10),
    });
    (0..800).for_each(|number| world.arrive(at(1_000 + number * 10), plain(0)));
    let facts = world.run();
    let asked: Vec<Duration> = began(&facts).filter(|one| one.deployment == 0).map(|one| one.at).collect();
    let again = asked.iter().find(|time| **time > at(1_100)).copied().expect("it is tried again");
    assert!(again > at(4_000) && again < at(4_800), "{again:?}");
}

#[test]
fn limits_hold_in_every_minute_and_are_used() {
    for (rpm, tpm, parallel) in
        [(Some(300), None, None), (None, Some(20_000), None), (None, None, Some(7)), (Some(200), Some(30_000), Some(5))]
    {
        let fleet = group(Rules::default(), 2, |_, one| (one.rpm, one.tpm, one.parallel) = (rpm, tpm, parallel));
        let asked = |number| Asked {
            wants: Wants { tokens: 20 + seed(number) % 100, ..Wants::default() },
            deadline: Some(at(1_000 + number / 20 + 5)),
            ..Asked::default()
        };
        let facts = paced(&fleet, 20, 300, asked, |one| well(ms(500 + one.seed % 2_000), one.guess + one.seed % 50));
        let minutes = 5.0;
        if let Some(rpm) = rpm.filter(|_| tpm.is_none()) {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let (made, most) = (began(&facts).count() as f64, 2.0 * rpm as f64 * minutes);
            assert!(made > 0.9 * most, "{made} of {most} are used");
        }
        if let Some(tpm) = tpm.filter(|_| rpm.is_none()) {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let (made, most) = (began(&facts).map(|one| one.guess).sum::<u64>() as f64, 2.0 * tpm as f64 * minutes);
            assert!(made > 0.6 * most, "{made} of {most} are expected");
        }
        assert!(failed(&facts).iter().all(|failure| failure.http_status() == 429 && failure.retry_after.is_some()));
    }
}

#[test]
fn after_each_rest_exactly_one_call_goes_to_a_deployment_that_is_still_down() {
    let fleet = group(Rules::default(), 2, |_, _| {});
    let down = |one: &Try| one.deployment == 0 && one.at < at(1_060);
    let facts =
        paced(
            &fleet,
            50,
            120,
            plain,
            |one| {
                if down(one) { badly(ms(30), FailureKind::Internal) } else { well(ms(100), 10) }
            },
        );
    assert!(failed(&facts).is_empty());
    let times: Vec<Duration> = began(&facts).filter(|one| down(one)).map(|one| one.at).collect();
    let first =
        facts.iter().find_map(|fact| if let Fact::Rested { at, .. } = fact { Some(*at) } else { None }).unwrap();
    let probes: Vec<&Duration> = times.iter().filter(|time| **time > first).collect();
    assert!((10..=12).contains(&probes.len()), "one for each five seconds of the minute: {probes:?}");
    assert!(probes.windows(2).all(|pair| *pair[1] - *pair[0] >= at(5)), "{probes:?}");
    let back = began(&facts).filter(|one| one.deployment == 0 && one.at >= at(1_066)).count();
    assert!(back > 1_000, "it has its share again: {back}");
}

/// Below fifty calls a second the ten free retries are more than a fifth.
#[test]
fn when_everything_is_down_retries_do_not_make_it_worse() {
    for disabled in [false, true] {
        for rate in [100, 500, 2_000] {
            let rest = RestRules { disabled, ..RestRules::default() };
            let fleet = group(Rules { rest, retries: 5, ..Rules::default() }, 3, |_, _| {});
            let facts = paced(&fleet, rate, 40, plain, |one| badly(ms(10 + one.seed % 90), FailureKind::Internal));
            for until in 20..=40 {
                let window = at(1_010)..at(1_000 + until);
                let made = began(&facts).filter(|one| window.contains(&one.chosen)).count() as u64;
                let calls = rate * (until - 10);
                assert!(made * 10 <= calls * 12 + 10, "{made} attempts for {calls} calls until second {until}");
            }
        }
    }
}

#[test]
fn a_small_installation_sees_exactly_its_retries() {
    for (rate, retries) in [(1, 3), (2, 3), (3, 2)] {
        let fleet = group(Rules { retries, ..Rules::default() }, 2, |_, _| {});
        let facts = paced(&fleet, rate, 120, plain, |_| badly(ms(50), FailureKind::BadGateway));
        for fact in &facts {
            if let Fact::Done { retries: made, .. } = fact {
                assert_eq!(u64::from(*made), retries, "{rate} a second");
            }
        }
    }
}

#[test]
fn at_most_half_of_a_group_rests_for_its_failures() {
    for count in [2, 3, 4, 5, 9] {
        let fleet = group(Rules::default(), count, |_, _| {});
        let mut most = 0;
        paced(&fleet, 100, 60, plain, |one| {
            let resting = fleet.deployments().iter().filter(|one| one.vitals.resting_until().is_some()).count();
            most = most.max(resting);
            badly(ms(20 + one.seed % 80), FailureKind::Internal)
        });
        assert_eq!(most, count / 2, "of {count}");
    }
}

#[test]
fn when_one_of_three_dies_no_client_sees_it() {
    for strategy in ALL {
        for rate in [10, 100, 1_000] {
            let fleet = group(Rules { strategy, ..Rules::default() }, 3, |_, _| {});
            let asked =
                |number| Asked { wants: Wants { affinity: Some(seed(number)), ..Wants::default() }, ..plain(number) };
            let facts = paced(&fleet, rate, 60, asked, |one| {
                if one.deployment == 1 && one.at >= at(1_020) {
                    badly(ms(1), FailureKind::Connection)
                } else {
                    well(ms(50 + one.seed % 100), 10)
                }
            });
            let told = failed(&facts);
            assert!(told.is_empty(), "{strategy:?} at {rate}: {} clients, {:?}", told.len(), told[0]);
        }
    }
}

fn hedged(_: u64) -> Asked {
    Asked { twice: Some(Awaits::Whole), ..plain(0) }
}

fn hedges(facts: &[Fact]) -> usize {
    began(facts).filter(|one| one.beside).count()
}

#[test]
fn a_slow_answer_is_not_waited_for_where_another_deployment_is_quick() {
    // Of a hundred answers one takes a minute: about what a hedge after the 95th is for.
    let deed = |one: &Try| well(if one.seed.is_multiple_of(100) { at(60) } else { ms(100 + one.seed % 100) }, 10);
    let longest = |hedging: Option<Hedging>| {
        let fleet = group(Rules { hedging, ..Rules::default() }, 3, |_, _| {});
        let facts = paced(&fleet, 50, 300, hedged, deed);
        let lasted = |fact: &Fact| match fact {
            Fact::Ended { of, at, .. } => Some(*at - of.at),
            _ => None,
        };
        let slow = facts.iter().filter_map(lasted).filter(|lasted| *lasted > at(2)).count();
        (slow, hedges(&facts), began(&facts).count())
    };
    let (slow, none, calls) = longest(None);
    assert!(slow > 100 && none == 0 && calls == 15_000, "{slow} slow, {none} hedges, {calls} attempts");
    // Twice what the 95th asks for: with no more than that, chance leaves every third slow one without a hedge.
    let (slow, made, _) = longest(Some(Hedging { min_delay: ms(150), max_share: 0.1, ..Hedging::default() }));
    assert!(slow <= 8 && made > 100, "{slow} slow, {made} hedges");
}

#[test]
fn hedges_stay_within_their_share_however_slow_everybody_is() {
    for max_share in [0.0, 0.01, 0.05, 0.5] {
        let hedging = Hedging { after: Some(ms(10)), min_delay: ms(10), max_share, ..Hedging::default() };
        let fleet = group(Rules { hedging: Some(hedging), ..Rules::default() }, 3, |_, _| {});
        let facts = paced(&fleet, 100, 60, hedged, |one| well(ms(500 + one.seed % 500), 10));
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let share = hedges(&facts) as f64 / 6_000.0;
        assert!(share <= max_share && share > 0.9 * max_share - 0.001, "{share} of {max_share}");
    }
}

#[test]
fn a_hedge_gains_no_retry_and_both_failures_are_the_first_ones() {
    let hedging = Hedging { after: Some(ms(10)), min_delay: ms(10), max_share: 1.0, ..Hedging::default() };
    let rules = Rules {
        hedging: Some(hedging),
        retries: 1,
        rest: RestRules { disabled: true, ..RestRules::default() },
        ..Rules::default()
    };
    let fleet = group(rules, 4, |_, _| {});
    let facts = paced(&fleet, 1, 30, hedged, |_| badly(ms(50), FailureKind::Internal));
    assert_eq!(
        (began(&facts).count(), hedges(&facts)),
        (30 * 2 + 30, 30),
        "two attempts a call, one hedge for each call"
    );
    for fact in &facts {
        if let Fact::Done { retries, .. } = fact {
            assert_eq!(*retries, 1);
        }
    }
}

#[test]
fn who_makes_jobs_or_is_alone_is_never_hedged() {
    let hedging = || Some(Hedging { after: Some(ms(10)), min_delay: ms(10), max_share: 1.0, ..Hedging::default() });
    let rules = || Rules { hedging: hedging(), ..Rules::default() };
    let slow = |_: &Try| well(ms(500), 10);
    let jobs = group(rules(), 3, |index, one| one.makes_jobs = index < 2);
    let facts = paced(&jobs, 10, 60, hedged, slow);
    assert_eq!(hedges(&facts), 0, "the third has nobody to be asked beside it, the others are never hedged");
    assert_eq!(hedges(&paced(&group(rules(), 1, |_, _| {}), 10, 60, hedged, slow)), 0);
    let pinned = |number| Asked { wants: Wants { pinned: Some(1), ..Wants::default() }, ..hedged(number) };
    assert_eq!(hedges(&paced(&group(rules(), 3, |_, _| {}), 10, 60, pinned, slow)), 0);
    assert_eq!(hedges(&paced(&group(rules(), 3, |_, _| {}), 10, 60, plain, slow)), 0, "asking twice would do harm");
    let of_others = Hedging { groups: vec!["h".to_owned()], ..hedging().unwrap() };
    let others = group(Rules { hedging: Some(of_others), ..Rules::default() }, 3, |_, _| {});
    assert_eq!(hedges(&paced(&others, 10, 60, hedged, slow)), 0);
}

/// A fleet and its rules out of chance.
fn any_fleet(chance: &mut u64) -> Fleet {
    let mut any = |most: u64| between(chance, 0, most);
    let groups =
        [vec!["g"; 1 + usize::try_from(any(5)).unwrap()], vec!["h"; usize::try_from(any(2)).unwrap()]].concat();
    let mut policy = Policy::default();
    policy.set("RateLimitError", any(4));
    policy.set("InternalServerError", any(3));
    let rules = Rules {
        strategy: ALL[usize::try_from(any(6)).unwrap()],
        latency_buffer: [0.0, 0.3][usize::try_from(any(1)).unwrap()],
        retries: any(4),
        retry_after: ms(any(3) * 300),
        retry_policy: (any(4) == 0).then_some(policy),
        fallbacks: Fallbacks {
            general: if any(1) == 0 { list(&[("g", &["h", "g"])]) } else { FallbackList::default() },
            ..Fallbacks::default()
        },
        rest: RestRules {
            disabled: any(9) == 0,
            time: ms(500 + any(20_000)),
            allowed_fails: (any(3) == 0).then_some(any(5)),
            ..RestRules::default()
        },
        affinity: any(4) == 0,
        hedging: (any(2) > 0).then(|| Hedging {
            after: (any(1) == 0).then(|| ms(any(2_000))),
            min_delay: ms(any(500)),
            max_share: [0.05, 0.3, 1.0][usize::try_from(any(2)).unwrap()],
            groups: Vec::new(),
        }),
        ..Rules::default()
    };
    let mut numbers = vec![0; groups.len() * 8];
    numbers.iter_mut().for_each(|number| *number = any(1_000_000));
    fleet(rules, &groups, |index, one| {
        let of = |at: usize, most: u64| numbers[index * 8 + at] % (most + 1);
        one.weight = (of(0, 2) == 0).then(|| f64::from(u32::try_from(of(1, 5)).unwrap()));
        one.rpm = (of(2, 2) == 0).then(|| 1 + of(3, 60));
        one.tpm = (of(4, 2) == 0).then(|| 100 + of(5, 5_000));
        one.parallel = (of(6, 2) == 0).then(|| 1 + of(7, 4));
        one.order = (of(1, 3) == 0).then(|| of(0, 1));
    })
}

/// One run of such a fleet, with failures and calls out of the same number.
fn schedule(mut chance: u64) {
    let start = chance;
    let fleet = any_fleet(&mut chance);
    let mut any = |most: u64| between(&mut chance, 0, most);
    let (trouble, slowest, rate) = (any(100), 10 + any(8_000), 1 + any(10));
    let deed = move |one: &Try| {
        let mut chance = one.seed;
        let mut any = |most: u64| between(&mut chance, 0, most);
        let takes = ms(1 + any(slowest));
        // A deployment is well or not for ten seconds at a time.
        let is_ill = seed(start ^ ((one.at.as_secs() / 10) << 8) ^ one.deployment as u64) % 100 < trouble;
        let content = (any(1) == 0).then(|| takes / 2);
        if !is_ill || any(9) == 0 {
            return Deed { takes, content, end: Ok(any(300)) };
        }
        let kinds = [
            FailureKind::RateLimited,
            FailureKind::Internal,
            FailureKind::Timeout,
            FailureKind::Authentication,
            FailureKind::BadRequest,
            FailureKind::Connection,
            FailureKind::ServiceUnavailable,
        ];
        let mut told = failure(kinds[usize::try_from(any(6)).unwrap()]);
        told.retry_after = (any(3) == 0).then(|| at(any(70)));
        Deed { takes, content: content.filter(|_| any(3) == 0), end: Err(told) }
    };
    let mut world = Clockwork::new(&fleet, "g", start, deed);
    for number in 0..20 + any(40) {
        let arrival = at(any(70)) + ms(number * 1_000 / rate);
        let wants = Wants { tokens: any(150), affinity: (any(1) == 0).then(|| any(3)), ..Wants::default() };
        let deadline = Some(arrival + at(any(60)));
        let twice = (any(3) > 0).then(|| if any(1) == 0 { Awaits::Whole } else { Awaits::Content });
        let retries = (any(4) == 0).then(|| any(3));
        world.arrive(arrival, Asked { wants, retries, deadline, twice, ..Asked::default() });
    }
    let facts = world.run();
    oaths::check(&fleet, &facts);
}

proptest! {
    // PROPTEST_CASES says how many; each case is ten schedules.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_always_holds_holds_in_any_schedule(number in any::<u64>()) {
        for offset in 0..10 {
            schedule(seed(number.wrapping_add(offset)));
        }
    }
}

//! Who is picked: weights, orders, strategies, filters.

use std::collections::HashSet;

use tollgate_router::{Asked, Deployment, Event, Fleet, Landing, Limits, Pace, Plan, Rules, Step, Strategy, Wants};

use crate::kit::{at, fleet, run, seed};

const NONE: Limits = Limits { rpm: None, tpm: None, parallel: None };

fn picked(fleet: &Fleet, asked: Asked, number: u64) -> usize {
    let mut plan = Plan::new(fleet, fleet.find("g").unwrap(), asked);
    match plan.on(&Event::Begin, at(100), seed(number)) {
        Step::Start { deployment, .. } => deployment,
        step => panic!("{step:?}"),
    }
}

fn shares(fleet: &Fleet, calls: u64) -> Vec<f64> {
    let mut counts = vec![0.0; fleet.deployments().len()];
    for number in 0..calls {
        counts[picked(fleet, Asked::default(), number)] += 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "small")]
    counts.iter().map(|count| count / calls as f64).collect()
}

fn with(strategy: Strategy, count: usize, change: impl Fn(usize, &mut Deployment)) -> Fleet {
    fleet(Rules { strategy, ..Rules::default() }, &vec!["g"; count], change)
}

#[test]
fn shares_follow_weights_in_groups_of_any_size() {
    for count in [3, 40] {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let weight = |index: usize| (index % 4) as f64;
        let total: f64 = (0..count).map(weight).sum();
        let fleet = with(Strategy::Shuffle, count, |index, one| one.weight = Some(weight(index)));
        for (index, share) in shares(&fleet, 200_000).iter().enumerate() {
            let expected = weight(index) / total;
            assert!((share - expected).abs() <= 0.02 * expected + 0.001, "{index} of {count}: {share} for {expected}");
        }
    }
}

#[test]
fn of_a_large_group_the_few_that_are_left_share_alike() {
    let fleet = with(Strategy::Shuffle, 200, |_, _| {});
    for one in &fleet.deployments()[20..] {
        one.vitals.rest(at(1_000));
    }
    for (index, share) in shares(&fleet, 200_000).iter().take(20).enumerate() {
        assert!((share - 0.05).abs() < 0.0025, "{index}: {share}");
    }
}

#[test]
fn rpm_counts_where_no_weight_is_given_and_tpm_after_it() {
    let by_rpm = with(Strategy::Shuffle, 2, |index, one| {
        one.rpm = Some(if index == 0 { 3_000 } else { 1_000 });
        one.tpm = Some(1_000_000);
    });
    assert!((shares(&by_rpm, 50_000)[0] - 0.75).abs() < 0.02);
    let by_tpm = with(Strategy::Shuffle, 2, |index, one| one.tpm = Some(if index == 0 { 30_000 } else { 10_000 }));
    assert!((shares(&by_tpm, 50_000)[0] - 0.75).abs() < 0.02);
}

#[test]
fn those_without_a_weight_among_weights_answer_when_nobody_else_can() {
    let fleet = with(Strategy::Shuffle, 2, |index, one| one.weight = (index == 0).then_some(1.0));
    assert_eq!(shares(&fleet, 100), [1.0, 0.0]);
    fleet.deployments()[0].vitals.rest(at(1_000));
    assert_eq!(shares(&fleet, 100), [0.0, 1.0]);
}

#[test]
fn the_next_order_is_used_when_the_lowest_has_nobody() {
    let fleet = with(Strategy::Shuffle, 3, |index, one| one.order = [Some(2), Some(1), None][index]);
    assert_eq!(shares(&fleet, 50), [0.0, 1.0, 0.0]);
    fleet.deployments()[1].vitals.rest(at(1_000));
    assert_eq!(shares(&fleet, 50), [1.0, 0.0, 0.0]);
    fleet.deployments()[0].vitals.rest(at(1_000));
    assert_eq!(shares(&fleet, 50), [0.0, 0.0, 1.0]);
}

#[test]
fn the_least_busy_is_the_one_with_the_fewest_calls() {
    let fleet = with(Strategy::LeastBusy, 3, |_, _| {});
    let flights: Vec<_> =
        [0, 0, 2].iter().map(|index| fleet.deployments()[*index].vitals.begin(at(100), &NONE, 0).unwrap()).collect();
    assert_eq!(picked(&fleet, Asked::default(), 1), 1);
    drop(flights);
    assert!(shares(&fleet, 3_000).iter().all(|share| (share - 1.0 / 3.0).abs() < 0.05), "equals take turns by chance");
}

#[test]
fn the_least_used_is_the_one_with_the_fewest_tokens_this_minute() {
    let fleet = with(Strategy::LeastUsed, 2, |_, _| {});
    let use_of = |index: usize, tokens| {
        let flight = fleet.deployments()[index].vitals.begin(at(90), &NONE, 0).unwrap();
        flight.land(at(90), Landing::Well { tokens, latency: None });
    };
    use_of(0, 100);
    use_of(1, 50);
    assert_eq!(shares(&fleet, 50), [0.0, 1.0]);
    use_of(1, 100);
    assert_eq!(shares(&fleet, 50), [1.0, 0.0]);
}

#[test]
fn the_fastest_is_tried_first_once_all_are_known_and_a_buffer_widens_it() {
    let latencies = [1.0, 1.4, 5.0];
    let land = |fleet: &Fleet, index: usize| {
        let flight = fleet.deployments()[index].vitals.begin(at(90), &NONE, 0).unwrap();
        flight.land(at(90), Landing::Well { tokens: 0, latency: Some((Pace::Token, latencies[index])) });
    };
    let strict = with(Strategy::Fastest, 3, |_, _| {});
    land(&strict, 0);
    assert_eq!(shares(&strict, 100)[0], 0.0, "who was never used is tried");
    land(&strict, 1);
    land(&strict, 2);
    assert_eq!(shares(&strict, 100), [1.0, 0.0, 0.0]);
    let rules = Rules { strategy: Strategy::Fastest, latency_buffer: 0.5, ..Rules::default() };
    let wide = fleet(rules, &["g"; 3], |_, _| {});
    (0..3).for_each(|index| land(&wide, index));
    let shares = shares(&wide, 2_000);
    assert!((shares[0] - 0.5).abs() < 0.05 && shares[2] == 0.0, "{shares:?}");
}

#[test]
fn the_cheapest_is_the_one_with_the_lowest_price() {
    let fleet = with(Strategy::Cheapest, 3, |index, one| one.price = [Some(2e-6), Some(1e-6), None][index]);
    assert_eq!(shares(&fleet, 50), [0.0, 1.0, 0.0]);
}

#[test]
fn of_two_the_one_with_less_work_is_taken() {
    let fleet = with(Strategy::TwoChoices, 2, |_, _| {});
    let _flights: Vec<_> = (0..8).map(|_| fleet.deployments()[0].vitals.begin(at(100), &NONE, 0).unwrap()).collect();
    let shares = shares(&fleet, 4_000);
    assert!(shares[1] > 0.7, "only when both choices fall on the busy one is it taken: {shares:?}");
}

#[test]
fn streams_go_where_streams_begin_soonest_and_whole_calls_where_tokens_come_fastest() {
    let fleet = with(Strategy::Fastest, 2, |_, _| {});
    // One begins at once and then dawdles; the other thinks first and is fast.
    for (index, first, token) in [(0, 0.1, 0.09), (1, 0.8, 0.01)] {
        for latency in [(Pace::First, first), (Pace::Token, token)] {
            let flight = fleet.deployments()[index].vitals.begin(at(90), &NONE, 0).unwrap();
            flight.land(at(90), Landing::Well { tokens: 0, latency: Some(latency) });
        }
    }
    let of = |pace| Asked { wants: Wants { pace, ..Wants::default() }, ..Asked::default() };
    for number in 0..20 {
        assert_eq!(picked(&fleet, of(Pace::First), number), 0);
        assert_eq!(picked(&fleet, of(Pace::Token), number), 1);
    }
}

#[test]
fn a_timeout_of_a_stream_says_nothing_of_whole_calls() {
    let fleet = with(Strategy::Fastest, 2, |_, _| {});
    let land = |index: usize, landing| {
        fleet.deployments()[index].vitals.begin(at(90), &NONE, 0).unwrap().land(at(90), landing);
    };
    land(0, Landing::Well { tokens: 0, latency: Some((Pace::Token, 0.01)) });
    land(1, Landing::Well { tokens: 0, latency: Some((Pace::Token, 0.02)) });
    land(0, Landing::Badly { late: Some(Pace::First), tokens: 0 });
    assert_eq!(shares(&fleet, 20), [1.0, 0.0]);
    land(0, Landing::Badly { late: Some(Pace::Token), tokens: 0 });
    assert_eq!(shares(&fleet, 20), [0.0, 1.0]);
}

#[test]
fn one_whose_latency_nobody_knows_does_not_draw_every_call() {
    let fleet = with(Strategy::TwoChoices, 2, |_, _| {});
    let known = fleet.deployments()[0].vitals.begin(at(90), &NONE, 0).unwrap();
    known.land(at(90), Landing::Well { tokens: 0, latency: Some((Pace::Token, 1.0)) });
    let _flights: Vec<_> = (0..8).map(|_| fleet.deployments()[1].vitals.begin(at(100), &NONE, 0).unwrap()).collect();
    assert!(shares(&fleet, 4_000)[0] > 0.7);
}

#[test]
fn a_key_stays_with_its_deployment_and_only_its_keys_move_when_that_rests() {
    let fleet = with(Strategy::CacheAffinity, 10, |_, _| {});
    let asked = |key: u64| Asked { wants: Wants { affinity: Some(seed(key)), ..Wants::default() }, ..Asked::default() };
    let home: Vec<usize> = (0..500).map(|key| picked(&fleet, asked(key), key)).collect();
    assert_eq!(home.iter().collect::<HashSet<_>>().len(), 10, "every deployment has keys");
    let least = (0..10).map(|index| home.iter().filter(|home| **home == index).count()).min();
    assert!(least >= Some(30), "about a tenth each: {least:?}");
    fleet.deployments()[3].vitals.rest(at(1_000));
    for (key, home) in (0..).zip(&home) {
        let now = picked(&fleet, asked(key), key + 77);
        assert!(if *home == 3 { now != 3 } else { now == *home }, "{key}: {home} then {now}");
    }
}

#[test]
fn affinity_gives_way_when_a_deployment_has_a_quarter_more_than_its_share() {
    let fleet = with(Strategy::CacheAffinity, 4, |_, _| {});
    let asked = || Asked { wants: Wants { affinity: Some(42), ..Wants::default() }, ..Asked::default() };
    let mut flights = Vec::new();
    let mut counts = [0_usize; 4];
    for number in 0..100 {
        let index = picked(&fleet, asked(), number);
        flights.push(fleet.deployments()[index].vitals.begin(at(100), &NONE, 0).unwrap());
        counts[index] += 1;
    }
    assert!(counts.iter().all(|count| *count <= 33), "one key for all calls, and still: {counts:?}");
}

#[test]
fn tags_choose_deployments_and_default_serves_the_rest() {
    let rules = Rules { tag_filtering: true, ..Rules::default() };
    let tagged = |tags: &'static [&'static [&'static str]]| {
        fleet(rules.clone(), &vec!["g"; tags.len()], |index, one| {
            one.tags = tags[index].iter().map(|tag| (*tag).to_owned()).collect();
        })
    };
    let ask = |tags: &[&str]| {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Asked { wants: Wants { tags, ..Wants::default() }, ..Asked::default() }
    };
    let all = tagged(&[&["free"], &["paid", "eu"], &["default"]]);
    assert_eq!(picked(&all, ask(&["free"]), 1), 0);
    assert_eq!(picked(&all, ask(&["eu"]), 1), 1);
    assert_eq!(picked(&all, ask(&["other"]), 1), 2);
    assert_eq!(picked(&all, ask(&[]), 1), 2);
    let no_default = tagged(&[&["free"]]);
    let refused = run(&no_default, "g", ask(&["paid"]), at(1), |_| Ok(())).end.unwrap_err();
    assert_eq!(
        (refused.http_status(), &*refused.message),
        (401, "Not allowed to access model due to tags configuration")
    );
    assert_eq!(picked(&no_default, ask(&[]), 1), 0);
}

#[test]
fn what_is_too_long_for_a_model_goes_to_one_with_a_larger_window() {
    let rules = Rules { pre_call_checks: true, ..Rules::default() };
    let fleet = fleet(rules, &["g", "g"], |index, one| one.max_input_tokens = Some([100, 1_000][index]));
    let ask = |tokens| Asked { wants: Wants { tokens, ..Wants::default() }, ..Asked::default() };
    assert!((0..20).all(|number| picked(&fleet, ask(500), number) == 1));
    let refused = run(&fleet, "g", ask(5_000), at(1), |_| Ok(())).end.unwrap_err();
    assert_eq!(refused.kind, tollgate_wire::FailureKind::ContextWindowExceeded);
}

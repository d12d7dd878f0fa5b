//! What happens after a failure: retries, rests, fallbacks and their story.

use std::time::Duration;

use tollgate_router::{
    Asked, Event, Fallback, FallbackList, Fallbacks, Landing, Plan, Policy, RestRules, Rules, Step, Wants,
};
use tollgate_wire::{Failure, FailureKind};

use crate::kit::{at, failure, fleet, list, run};

fn rules(general: FallbackList) -> Rules {
    Rules { fallbacks: Fallbacks { general, ..Fallbacks::default() }, ..Rules::default() }
}

fn down(_: usize) -> Result<(), Failure> {
    Err(failure(FailureKind::ServiceUnavailable))
}

#[test]
fn a_retry_goes_elsewhere_first_and_then_waits() {
    let fleet = fleet(Rules::default(), &["g", "g"], |_, _| {});
    let run = run(&fleet, "g", Asked::default(), at(1), down);
    assert_eq!(run.asked.len(), 3);
    assert!(run.asked[0] != run.asked[1] && run.waits[1].is_zero());
    assert!(run.waits[2] >= Duration::from_millis(500));
    assert!(run.end.is_err());
}

#[test]
fn a_rehearsal_takes_nothing_from_the_budget_of_retries() {
    let fleet = fleet(Rules::default(), &["g"], |_, _| {});
    for _ in 0..50 {
        let mut plan = Plan::rehearsal(&fleet, fleet.find("g").unwrap(), Asked::default());
        let mut step = plan.on(&Event::Begin, at(1), 1);
        while let Step::Start { .. } = step {
            step = plan.on(&Event::Failed(&failure(FailureKind::ServiceUnavailable)), at(1), 1);
        }
        assert_eq!(plan.retries(), 2);
    }
    assert_eq!(run(&fleet, "g", Asked::default(), at(1), down).asked.len(), 3);
}

/// Whatever the clients ask for: a fifth of the requests, and ten a second.
#[test]
fn the_budget_of_retries_holds_for_clients_that_want_many() {
    let fleet = fleet(Rules::default(), &["g"; 40], |_, _| {});
    let greedy = || Asked { retries: Some(100), ..Asked::default() };
    let attempts: usize = (0..500).map(|_| run(&fleet, "g", greedy(), at(100), down).asked.len()).sum();
    assert!((500..=500 + 100 + 10).contains(&attempts), "{attempts}");
}

#[test]
fn retry_after_is_waited_for_up_to_a_minute() {
    let fleet = fleet(Rules::default(), &["g"], |_, _| {});
    for (asked, least, most) in [(7, 7_000, 7_750), (61, 500, 1_250), (0, 500, 1_250)] {
        let run = run(&fleet, "g", Asked::default(), at(1), |_| {
            let mut limited = failure(FailureKind::RateLimited);
            limited.retry_after = Some(at(asked));
            Err(limited)
        });
        let waited = run.waits[1].as_millis();
        assert!((least..most).contains(&waited), "{asked}: {waited}");
    }
}

#[test]
fn what_the_client_caused_is_not_tried_again_and_a_refused_key_only_elsewhere() {
    for (kind, count, attempts) in [
        (FailureKind::BadRequest, 2, 1),
        (FailureKind::NotFound, 2, 1),
        (FailureKind::Authentication, 1, 1),
        (FailureKind::Authentication, 2, 2),
        (FailureKind::PermissionDenied, 3, 3),
        (FailureKind::Timeout, 1, 3),
    ] {
        let fleet = fleet(Rules::default(), &vec!["g"; count], |_, _| {});
        let run = run(&fleet, "g", Asked::default(), at(1), |_| Err(failure(kind)));
        assert_eq!(run.asked.len(), attempts, "{kind:?} with {count}");
    }
}

#[test]
fn the_request_then_the_only_deployment_then_the_router_says_how_often() {
    let attempts = |own: Option<u64>, deployment: Option<u64>, count: usize| {
        let fleet =
            fleet(Rules { retries: 1, ..Rules::default() }, &vec!["g"; count], |_, one| one.retries = deployment);
        run(&fleet, "g", Asked { retries: own, ..Asked::default() }, at(1), down).asked.len()
    };
    assert_eq!(attempts(None, None, 1), 2);
    assert_eq!(attempts(None, Some(4), 1), 5);
    assert_eq!(attempts(None, Some(4), 2), 2, "of several none speaks for the others");
    assert_eq!(attempts(Some(0), Some(4), 1), 1);
    assert_eq!(attempts(Some(3), Some(4), 1), 4);
}

#[test]
fn a_policy_replaces_the_number_and_what_is_tried_again() {
    let mut policy = Policy::default();
    policy.set("BadRequestError", 1);
    policy.set("TimeoutError", 0);
    let fleet = fleet(Rules { retry_policy: Some(policy), ..Rules::default() }, &["g"], |_, _| {});
    let attempts = |kind, retries| {
        run(&fleet, "g", Asked { retries, ..Asked::default() }, at(1), |_| Err(failure(kind))).asked.len()
    };
    assert_eq!(attempts(FailureKind::BadRequest, None), 2);
    assert_eq!(attempts(FailureKind::Timeout, None), 1);
    assert_eq!(attempts(FailureKind::Internal, None), 3);
    assert_eq!(attempts(FailureKind::BadRequest, Some(0)), 1, "the request wants none at all");
}

#[test]
fn fallbacks_are_asked_in_order_each_with_its_own_retries() {
    let fleet = fleet(rules(list(&[("a", &["b", "c"])])), &["a", "b", "c"], |_, _| {});
    let run = run(&fleet, "a", Asked::default(), at(1), |index| if index == 2 { Ok(()) } else { down(index) });
    assert_eq!(run.asked, [0, 0, 0, 1, 1, 1, 2]);
    assert_eq!(run.end.unwrap(), 2);
}

#[test]
fn a_circle_of_fallbacks_asks_nobody_twice() {
    let circle = list(&[("a", &["b"]), ("b", &["c", "a"]), ("c", &["a", "b"])]);
    let fleet = fleet(rules(circle), &["a", "b", "c"], |_, _| {});
    let run = run(&fleet, "a", Asked { retries: Some(0), ..Asked::default() }, at(1), down);
    assert_eq!(run.asked, [0, 1, 2]);
}

#[test]
fn fallbacks_of_fallbacks_end_at_the_depth() {
    let chain = list(&[("a", &["b"]), ("b", &["c"]), ("c", &["d"])]);
    let mut rules = rules(chain);
    rules.fallbacks.most = Some(2);
    let fleet = fleet(rules, &["a", "b", "c", "d"], |_, _| {});
    let run = run(&fleet, "a", Asked { retries: Some(0), ..Asked::default() }, at(1), down);
    assert_eq!(run.asked, [0, 1, 2]);
}

#[test]
fn a_long_prompt_and_refused_content_have_lists_of_their_own() {
    let mut rules = rules(list(&[("a", &["b"])]));
    rules.fallbacks.context_window = Some(list(&[("a", &["c"])]));
    rules.fallbacks.content_policy = Some(list(&[("other", &["c"])]));
    let fleet = fleet(rules, &["a", "b", "c"], |_, _| {});
    let asked = |kind| {
        let run =
            run(&fleet, "a", Asked::default(), at(1), |index| if index == 0 { Err(failure(kind)) } else { Ok(()) });
        run.asked
    };
    assert_eq!(asked(FailureKind::ContextWindowExceeded), [0, 2]);
    assert_eq!(asked(FailureKind::ContentPolicyViolation), [0], "the list does not have the group");
    assert_eq!(asked(FailureKind::BadRequest), [0, 1]);
}

#[test]
fn the_calls_own_fallbacks_replace_the_configured_ones_and_can_be_none() {
    let fleet = fleet(rules(list(&[("a", &["b"])])), &["a", "b", "c"], |_, _| {});
    let none = Asked { no_fallbacks: true, retries: Some(0), ..Asked::default() };
    assert_eq!(run(&fleet, "a", none, at(1), down).asked, [0]);
    let instead = Some(std::sync::Arc::new(serde_json::Map::new()));
    let general = FallbackList(vec![("a".to_owned(), vec![Fallback { model: "c".to_owned(), instead }])]);
    let own = Some(Fallbacks { general, ..Fallbacks::default() });
    let own = Asked { fallbacks: own, retries: Some(0), ..Asked::default() };
    assert_eq!(run(&fleet, "a", own, at(1), down).asked, [0, 2]);
}

/// SEED-146, word for word.
#[test]
fn the_story_is_told_in_the_words_of_the_seed() {
    let (first, second) = ("bedrock-claude-v3-sonnet", "bedrock-claude-v3-haiku");
    let fleet = fleet(rules(list(&[(first, &[second])])), &[first, second], |_, _| {});
    let mut plan = Plan::new(&fleet, fleet.find(first).unwrap(), Asked::default());
    let mut step = plan.on(&Event::Begin, at(1), 1);
    while let Step::Start { .. } = step {
        let group = plan.group().unwrap().name;
        let words = format!("This is a mock exception for model={group}, to trigger a rate limit error.");
        step = plan.on(&Event::Refused(&Failure::new(FailureKind::RateLimited, words)), at(1), 1);
    }
    let Step::GiveUp(failure) = step else { panic!("{step:?}") };
    assert_eq!(
        failure.client_message(),
        "litellm.RateLimitError: This is a mock exception for model=bedrock-claude-v3-sonnet, to trigger a rate limit error.\nReceived Model Group=bedrock-claude-v3-sonnet\nAvailable Model Group Fallbacks=['bedrock-claude-v3-haiku']\nError doing the fallback: litellm.RateLimitError: This is a mock exception for model=bedrock-claude-v3-haiku, to trigger a rate limit error.No fallback model group found for original model_group=bedrock-claude-v3-haiku. Fallbacks=[{'bedrock-claude-v3-sonnet': ['bedrock-claude-v3-haiku']}]\nReceived Model Group=bedrock-claude-v3-haiku\nAvailable Model Group Fallbacks=None\nError doing the fallback: litellm.RateLimitError: This is a mock exception for model=bedrock-claude-v3-haiku, to trigger a rate limit error.No fallback model group found for original model_group=bedrock-claude-v3-haiku. Fallbacks=[{'bedrock-claude-v3-sonnet': ['bedrock-claude-v3-haiku']}]"
    );
}

#[test]
fn when_everybody_rests_the_first_to_come_back_is_waited_for() {
    let fleet = fleet(Rules::default(), &["g", "g"], |_, _| {});
    fleet.deployments()[0].vitals.rest(at(12));
    fleet.deployments()[1].vitals.rest(at(14));
    let patient = Asked { deadline: Some(at(20)), ..Asked::default() };
    let waited = run(&fleet, "g", patient, at(10), |_| Ok(()));
    assert_eq!((waited.waits[0], waited.end.unwrap()), (at(2), 0));
    let hurried = Asked { deadline: Some(at(11)), ..Asked::default() };
    let refused = run(&fleet, "g", hurried, at(10), |_| Ok(())).end.unwrap_err();
    assert_eq!((refused.http_status(), refused.retry_after), (429, Some(at(2))));
    assert!(refused.message.starts_with("No deployments available for selected model, Try again in 2 seconds"));
}

#[test]
fn a_fallback_that_is_there_is_better_than_waiting() {
    let fleet = fleet(rules(list(&[("g", &["h"])])), &["g", "h"], |_, _| {});
    fleet.deployments()[0].vitals.rest(at(12));
    assert_eq!(run(&fleet, "g", Asked::default(), at(10), |_| Ok(())).asked, [1]);
}

#[test]
fn the_next_fallback_is_better_than_waiting_for_this_one() {
    let fleet = fleet(rules(list(&[("g", &["h", "i"])])), &["g", "h", "i"], |_, _| {});
    fleet.deployments()[0].vitals.rest(at(12));
    fleet.deployments()[1].vitals.rest(at(12));
    let run = run(&fleet, "g", Asked::default(), at(10), |_| Ok(()));
    assert_eq!((run.asked, run.waits), (vec![2], vec![Duration::ZERO]));
}

/// What depends on other calls is waited for whatever is known of the rest.
#[test]
fn a_place_may_be_free_any_time_and_others_who_wait_come_first() {
    let limits = |_, one: &mut tollgate_router::Deployment| one.parallel = Some(1);
    let fleet = fleet(Rules::default(), &["g", "g"], limits);
    let (full, rests) = (&fleet.deployments()[0], &fleet.deployments()[1]);
    let flight = full.vitals.begin(at(10), &full.limits(), 0).unwrap();
    rests.vitals.rest(at(100));
    let asked = || Asked { deadline: Some(at(20)), ..Asked::default() };
    let mut plan = Plan::new(&fleet, fleet.find("g").unwrap(), asked());
    let step = plan.on(&Event::Begin, at(10), 1);
    assert!(matches!(step, Step::Wait { until: Some(until) } if until == at(100)), "{step:?}");
    let others = plan.candidates(at(10));
    drop(flight);
    assert!(matches!(plan.on(&Event::Woken, at(11), 1), Step::Start { deployment: 0, .. }));
    assert!(matches!(plan.on(&Event::Behind, at(11), 1), Step::Wait { .. }), "the others come first");
    assert_eq!(plan.candidates(at(11)), others, "they wait for the same, whoever has room");
    let Step::GiveUp(crowded) = plan.on(&Event::Crowded, at(11), 1) else { panic!("there is no place in the line") };
    assert_eq!((crowded.http_status(), crowded.retry_after), (429, Some(at(89))));
    let Step::GiveUp(late) = Plan::new(&fleet, fleet.find("g").unwrap(), asked()).on(&Event::Behind, at(20), 1) else {
        panic!("its time is over")
    };
    assert_eq!(late.http_status(), 429);
}

/// Else one large prompt, for which there is no room for a minute, would keep everybody waiting.
#[test]
fn calls_of_other_sizes_stand_in_other_lines_where_tokens_are_limited() {
    for (tpm, apart) in [(Some(1_000), true), (None, false)] {
        let fleet = fleet(Rules::default(), &["g"], |_, one| one.tpm = tpm);
        let line = |tokens| {
            let asked = Asked { wants: Wants { tokens, ..Wants::default() }, ..Asked::default() };
            Plan::new(&fleet, fleet.find("g").unwrap(), asked).candidates(at(10))
        };
        assert_eq!(line(600), line(900));
        assert_eq!(line(10) != line(900), apart);
    }
}

fn fail(fleet: &tollgate_router::Fleet, index: usize, kind: FailureKind, now: Duration) -> Option<Duration> {
    let one = &fleet.deployments()[index];
    one.vitals.begin(now, &one.limits(), 0).unwrap().land(now, Landing::Badly { late: None, tokens: 0 });
    fleet.rest_after(index, &failure(kind), now)
}

#[test]
fn a_limit_or_a_refused_key_is_a_reason_to_rest_unless_nobody_else_is_there() {
    for (count, kind, rests) in [
        (2, FailureKind::RateLimited, true),
        (2, FailureKind::Authentication, true),
        (2, FailureKind::NotFound, true),
        (2, FailureKind::Internal, false),
        (2, FailureKind::BadRequest, false),
        (1, FailureKind::RateLimited, false),
    ] {
        let fleet = fleet(Rules::default(), &vec!["g"; count], |_, _| {});
        let until = fail(&fleet, 0, kind, at(100));
        assert_eq!(until, rests.then_some(at(105)), "{kind:?} of {count}");
    }
}

#[test]
fn more_failures_than_answers_are_a_reason_to_rest_for_half_of_a_group() {
    let fleet = fleet(Rules::default(), &["g"; 4], |_, _| {});
    for round in 0..4 {
        assert_eq!(fail(&fleet, 0, FailureKind::Internal, at(100 + round)), None, "too few say nothing");
    }
    let mut rested = 0;
    for index in 0..4 {
        let until = (0..5).filter_map(|_| fail(&fleet, index, FailureKind::Internal, at(104))).next_back();
        if let Some(until) = until {
            fleet.deployments()[index].vitals.rest(until);
            rested += 1;
        }
    }
    assert_eq!(rested, 2);
}

#[test]
fn one_whose_rest_is_over_counts_as_resting_until_it_is_back() {
    let fleet = fleet(Rules::default(), &["g", "g"], |_, _| {});
    let ruin = |index| (0..5).filter_map(|_| fail(&fleet, index, FailureKind::Internal, at(100))).next_back();
    fleet.deployments()[0].vitals.rest(ruin(0).unwrap());
    for _ in 0..6 {
        assert_eq!(fail(&fleet, 1, FailureKind::Internal, at(106)), None);
    }
}

#[test]
fn five_failures_in_a_row_are_enough_whatever_went_well_before() {
    let fleet = fleet(Rules::default(), &["g", "g"], |_, _| {});
    let one = &fleet.deployments()[0];
    for _ in 0..500 {
        one.vitals.begin(at(100), &one.limits(), 0).unwrap().land(at(100), Landing::Well { tokens: 0, latency: None });
    }
    for _ in 0..4 {
        assert_eq!(fail(&fleet, 0, FailureKind::Connection, at(101)), None);
    }
    assert_eq!(fail(&fleet, 0, FailureKind::Connection, at(101)), Some(at(106)));
}

#[test]
fn allowed_fails_replace_the_rules_and_hold_for_the_minute() {
    let rest = RestRules { allowed_fails: Some(2), ..RestRules::default() };
    let fleet = fleet(Rules { rest, ..Rules::default() }, &["g"], |_, one| one.rest_time = Some(at(30)));
    assert_eq!(fail(&fleet, 0, FailureKind::RateLimited, at(100)), None);
    assert_eq!(fail(&fleet, 0, FailureKind::Internal, at(101)), None);
    assert_eq!(fail(&fleet, 0, FailureKind::Internal, at(102)), Some(at(132)), "its own time");
    assert_eq!(fail(&fleet, 0, FailureKind::Internal, at(200)), None, "a minute later they are forgotten");
}

#[test]
fn a_call_that_shows_that_it_is_not_back_prolongs_the_rest() {
    let fleet = fleet(Rules::default(), &["g", "g"], |_, _| {});
    fleet.deployments()[0].vitals.rest(at(105));
    assert_eq!(fail(&fleet, 0, FailureKind::Internal, at(105)), Some(at(110)));
}

#[test]
fn a_deployment_at_its_limit_is_passed_over() {
    let fleet = fleet(Rules::default(), &["g", "g"], |index, one| {
        one.rpm = Some([1, 1_000][index]);
        one.weight = Some(1.0);
    });
    let one = &fleet.deployments()[0];
    one.vitals.begin(at(100), &one.limits(), 0).unwrap().land(at(100), Landing::Aside { tokens: 0 });
    for number in 0..20 {
        let asked = Asked { wants: Wants { tokens: number, ..Wants::default() }, ..Asked::default() };
        assert_eq!(run(&fleet, "g", asked, at(101), |_| Ok(())).asked, [1]);
    }
}

#[test]
fn what_fits_a_pattern_falls_back_by_its_own_name_to_another_model_of_the_pattern() {
    let fleet = fleet(rules(list(&[("openai/large", &["openai/small"])])), &["openai/*"], |_, _| {});
    let mut plan =
        Plan::new(&fleet, fleet.find("openai/large").unwrap(), Asked { retries: Some(0), ..Asked::default() });
    plan.on(&Event::Begin, at(1), 1);
    let step = plan.on(&Event::Failed(&failure(FailureKind::ServiceUnavailable)), at(1), 1);
    assert!(matches!(step, Step::Start { deployment: 0, .. }), "{step:?}");
    assert_eq!(plan.group().unwrap().captured, Some(tollgate_router::Captured::of("small")));
    let Step::GiveUp(failure) = plan.on(&Event::Failed(&failure(FailureKind::ServiceUnavailable)), at(1), 1) else {
        panic!("nobody is left")
    };
    assert!(failure.message.contains("Received Model Group=openai/large"), "{}", failure.message);
}

#[test]
fn a_name_that_a_pattern_does_not_know_is_no_reason_to_rest() {
    let fleet = fleet(Rules::default(), &["openai/*", "openai/*"], |_, _| {});
    assert_eq!(fail(&fleet, 0, FailureKind::NotFound, at(100)), None);
    assert!(fail(&fleet, 0, FailureKind::RateLimited, at(100)).is_some());
}

#[test]
fn a_refused_key_is_not_asked_again_when_the_others_rest() {
    let fleet = fleet(Rules::default(), &["g", "g"], |_, _| {});
    fleet.deployments()[1].vitals.rest(at(1_000));
    assert_eq!(run(&fleet, "g", Asked::default(), at(1), |_| Err(failure(FailureKind::Authentication))).asked, [0]);
}

#[test]
fn what_is_paid_is_not_paid_again_anywhere() {
    let fleet = fleet(rules(list(&[("a", &["b"])])), &["a", "b"], |_, _| {});
    let paid = |_| Err(failure(FailureKind::Timeout).paid());
    assert_eq!(run(&fleet, "a", Asked::default(), at(1), paid).asked, [0]);
}

#[test]
fn a_limit_of_nothing_is_told_at_once() {
    let fleet = fleet(Rules::default(), &["g"], |_, one| one.rpm = Some(0));
    let run = run(&fleet, "g", Asked::default(), at(1), |_| Ok(()));
    assert!(run.waits.is_empty() && run.end.unwrap_err().http_status() == 429);
}

#[test]
fn without_fallbacks_the_providers_words_are_all_there_is() {
    let plain = fleet(Rules::default(), &["g"], |_, _| {});
    let told =
        |asked| run(&plain, "g", asked, at(1), |_| Err(failure(FailureKind::BadRequest))).end.unwrap_err().message;
    assert_eq!(told(Asked::default()), "words");
    let with = fleet(rules(list(&[("g", &["h"])])), &["g", "h"], |_, _| {});
    let asked = Asked { no_fallbacks: true, ..Asked::default() };
    let end = run(&with, "g", asked, at(1), |_| Err(failure(FailureKind::BadRequest))).end.unwrap_err();
    assert_eq!(end.message, "words");
}

#[test]
fn whoever_can_goes_on_with_an_answer_in_the_group_else_in_a_fallback() {
    let fallbacks = Fallbacks { general: list(&[("g", &["h"])]), ..Fallbacks::default() };
    let fleet = fleet(Rules { fallbacks, ..Rules::default() }, &["g", "g", "g", "h"], |index, one| {
        one.rpm = (index == 2).then_some(0);
    });
    let onward = |asked: Asked, out: &[usize], can: &[usize]| {
        let plan = Plan::new(&fleet, fleet.find("g").unwrap(), asked);
        let found = plan.onward(FailureKind::Connection, out, |index, _| can.contains(&index), at(1), 7);
        found.map(|(index, group)| (index, group.name.to_owned()))
    };
    let any = || Asked::default();
    assert_eq!(onward(any(), &[0], &[0, 1, 2, 3]), Some((1, "g".to_owned())), "who broke it is not asked again");
    assert_eq!(
        onward(any(), &[0], &[0, 2, 3]),
        Some((3, "h".to_owned())),
        "one has a limit of 0, and h is its fallback"
    );
    assert_eq!(onward(any(), &[0, 3], &[0, 2, 3]), None);
    assert_eq!(onward(any(), &[0], &[]), None, "nobody can");
    assert_eq!(onward(Asked { no_fallbacks: true, ..any() }, &[0], &[3]), None);
}

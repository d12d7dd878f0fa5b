//! Whatever happens to calls, the books balance: what was opened is settled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::time::{sleep, timeout};
use tollgate_kit::{Answer, Place, SseItem};
use tollgate_net::clock::SystemRandom;
use tollgate_wire::clock::Random;

use crate::world::{ONE_MODEL, World, hi, hi_streamed, refused};

/// Chance that repeats: a linear congruential generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn place(&mut self) -> Place {
        match self.below(4) {
            0 => Place::BeforeHead,
            1 => Place::AfterBytes(usize::try_from(self.below(400)).expect("small")),
            2 => Place::AfterEvents(usize::try_from(self.below(6)).expect("small")),
            _ => Place::InsideEvent(usize::try_from(self.below(6)).expect("small")),
        }
    }

    /// An answer, good or bad, delivered well or badly.
    fn answer(&mut self) -> Answer {
        let piece = |text: &str| SseItem::data(json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
        let usage = json!({"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5});
        let last = SseItem::data(json!({"choices": [], "usage": usage}));
        let whole = json!({"object": "chat.completion", "choices": [], "usage": usage});
        let mut answer = match self.below(6) {
            0 => Answer::json(200, whole),
            1 => Answer::json(500, json!({"error": {"message": "boom"}})),
            2 => Answer::json(429, json!({"error": {"message": "slow"}})),
            3 => Answer::json(400, json!({"error": {"message": "no"}})),
            _ => Answer::sse([
                piece("a"),
                piece("b"),
                SseItem::Comment("c".to_owned()),
                piece("d"),
                last,
                SseItem::done(),
            ]),
        };
        if self.below(3) == 0 {
            answer = answer.split_every(1 + usize::try_from(self.below(40)).expect("small"));
        }
        if self.below(3) == 0 {
            answer = answer.wait_between_chunks(Duration::from_millis(self.below(4)));
        }
        if self.below(4) == 0 {
            answer = answer.wait_before_head(Duration::from_millis(self.below(20)));
        }
        match self.below(6) {
            0 => answer.cut(self.place()),
            1 => answer.reset(self.place()),
            2 => answer.stall(self.place()),
            _ => answer,
        }
    }
}

const CONFIG: &str = "
model_list:
  - {model_name: gpt, litellm_params: {model: openai/one, api_base: '{provider}/v1', api_key: k, timeout: 0.15}}
  - {model_name: gpt, litellm_params: {model: openai/two, api_base: '{provider}/v1', api_key: k, timeout: 0.15}}
router_settings: {num_retries: 1, disable_cooldowns: true}
";

async fn live(seed: u64, rounds: u64, settings: &str) {
    let world = World::start(&format!("{CONFIG}{settings}")).await;
    let mut dice = Dice(seed);
    world.provider.script((0..rounds * 2).map(|_| dice.answer()));
    for round in 0..rounds {
        let body = if dice.below(2) == 0 { hi("gpt") } else { hi_streamed("gpt") };
        let mut connection = world.connect().await;
        connection.ask_json("/v1/chat/completions", &[], &body).await;
        match dice.below(4) {
            // Leaves at some moment.
            0 => drop(timeout(Duration::from_millis(dice.below(30)), connection.reply()).await),
            // Leaves at once.
            1 => sleep(Duration::from_millis(dice.below(3))).await,
            _ => {
                let reply = timeout(Duration::from_secs(10), connection.reply()).await;
                let reply = reply.unwrap_or_else(|_| panic!("seed {seed}, round {round}: no end"));
                assert!(reply.complete, "seed {seed}, round {round}: {}", reply.text());
                assert!(reply.status == 200 || reply.json()["error"].is_object(), "seed {seed}, round {round}");
            }
        }
    }
    let balanced = || {
        let totals = world.gateway.totals();
        let at_rest = world.gateway.workers().running() == 0;
        (totals.opened == totals.settled && at_rest && totals.opened >= world.provider.calls().len() as u64)
            .then_some(totals)
    };
    let totals = world.eventually(&format!("the books balance (seed {seed})"), balanced).await;
    assert!(totals.unstated <= totals.settled && totals.opened >= rounds / 2, "seed {seed}: {totals:?}");
}

#[tokio::test]
async fn the_books_balance_after_random_faults() {
    for seed in 1..=4 {
        live(seed, 40, "").await;
    }
}

#[tokio::test]
async fn the_books_balance_when_streams_are_drained() {
    for seed in 5..=7 {
        live(seed, 40, "general_settings: {client_disconnect: drain, stream_header_wait: 0.01}\n").await;
    }
}

#[tokio::test]
async fn the_books_balance_when_everything_is_cancelled() {
    for seed in 8..=10 {
        live(seed, 40, "general_settings: {client_disconnect: cancel, stream_header_wait: 0.01}\n").await;
    }
}

#[tokio::test]
async fn what_is_spent_is_what_the_providers_say() {
    let world = World::plain().await;
    for _ in 0..5 {
        assert_eq!(world.chat(&hi("gpt")).await.status, 200);
        assert_eq!(world.chat(&hi_streamed("gpt")).await.status, 200);
    }
    let totals = world.settled(10).await;
    assert_eq!((totals.unstated, totals.unpriced), (0, 0), "{totals:?}");
    assert!(totals.input >= 10 && totals.output >= 10 && totals.nanos > 0, "{totals:?}");
}

/// Chance that fails when told to.
#[derive(Default)]
struct Trap {
    random: SystemRandom,
    is_set: AtomicBool,
}

impl Random for Trap {
    fn fill(&self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }

    fn u64(&self) -> u64 {
        assert!(!self.is_set.load(Ordering::Relaxed), "a bug, on purpose");
        self.random.u64()
    }
}

#[tokio::test]
async fn a_panic_within_a_call_is_that_calls_failure_only() {
    let trap = Arc::<Trap>::default();
    let world = World::of(ONE_MODEL).random(Arc::<Trap>::clone(&trap)).start().await;
    trap.is_set.store(true, Ordering::Relaxed);
    for body in [hi("gpt"), hi_streamed("gpt")] {
        let reply = world.chat(&body).await;
        let words = refused(&reply, 500);
        assert!(!words.contains("on purpose") && reply.header("x-litellm-call-id").is_some(), "{words}");
    }
    trap.is_set.store(false, Ordering::Relaxed);
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    world.settled(1).await;
}

const PRICED: &str = "
model_list:
  - model_name: gpt
    litellm_params:
      {model: openai/one, api_base: '{provider}/v1', api_key: k, input_cost_per_token: 0.001, output_cost_per_token: 0.002}
router_settings: {num_retries: 0}
";

/// What a refused call says it cost, and what the books say.
async fn cost_of(answer: Answer) -> (String, u64) {
    let world = World::start(PRICED).await;
    world.provider.script([answer]);
    let reply = world.chat(&hi("gpt")).await;
    assert_ne!(reply.status, 200, "{}", reply.text());
    let totals = world.settled(1).await;
    (reply.header("x-litellm-response-cost").expect("the header").to_owned(), totals.nanos)
}

#[tokio::test]
async fn a_refusal_of_the_provider_costs_nothing() {
    for status in [400, 401, 429, 500, 503] {
        let refusal = Answer::json(status, json!({"error": {"message": "no"}}));
        assert_eq!(cost_of(refusal).await, ("0".to_owned(), 0), "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_broke_off_is_counted_and_the_client_is_told() {
    let whole =
        json!({"object": "chat.completion", "choices": [{"index": 0, "message": {"content": "a long answer"}}]});
    let (told, spent) = cost_of(Answer::json(200, whole).cut(Place::AfterBytes(20))).await;
    assert!(spent > 0, "the provider may charge for it");
    #[expect(clippy::cast_precision_loss, reason = "small amounts")]
    let dollars = spent as f64 / 1e9;
    assert!((told.parse::<f64>().expect("a number") - dollars).abs() < 1e-12, "{told} is not {dollars}");
}

#[tokio::test]
async fn a_request_that_never_left_costs_nothing() {
    let world = World::start(&PRICED.replace("{provider}", "http://127.0.0.1:1")).await;
    let reply = world.chat(&hi("gpt")).await;
    assert_eq!(reply.header("x-litellm-response-cost"), Some("0"), "{}", reply.text());
    assert_eq!(world.settled(1).await.nanos, 0);
}

#[tokio::test]
async fn a_client_can_try_out_what_happens_on_a_failure() {
    let world = World::start(ONE_MODEL).await;
    for (member, status, words) in [
        ("mock_testing_rate_limit_error", 429, "RateLimitError"),
        ("mock_testing_context_fallbacks", 400, "ContextWindowExceededError"),
        ("mock_testing_content_policy_fallbacks", 400, "ContentPolicyViolationError"),
        ("mock_testing_fallbacks", 500, "InternalServerError"),
    ] {
        let mut body = hi("gpt");
        body[member] = true.into();
        let told = refused(&world.chat(&body).await, status);
        assert!(told.contains(words) && told.contains("mock exception for model=gpt"), "{member}: {told}");
        body[member] = false.into();
        assert_eq!(world.chat(&body).await.status, 200, "{member}: false asks for nothing");
    }
    assert_eq!(world.provider.calls().len(), 4, "nobody is asked for a failure that is tried out");
}

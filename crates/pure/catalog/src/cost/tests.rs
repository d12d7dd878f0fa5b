//! Known costs, and what holds for every usage and price.

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate_wire::usage::{SearchSize, ServiceTier};

fn price(facts: Value) -> Price {
    let Value::Object(map) = facts else { panic!("not an object") };
    Price::from_map(&map)
}

fn claude() -> Price {
    price(json!({
        "input_cost_per_token": 3e-6, "output_cost_per_token": 1.5e-5, "cache_read_input_token_cost": 3e-7,
        "cache_creation_input_token_cost": 3.75e-6, "cache_creation_input_token_cost_above_1hr": 6e-6,
    }))
}

#[test]
fn text_in_and_out_is_tokens_times_price() {
    let usage = Usage { input: 1000, output: 500, ..Usage::default() };
    let cost = cost(&usage, &claude());
    assert_eq!(cost.pico(), 10_500_000_000);
    assert_eq!(cost.money(), Money::from_nanos(10_500_000));
    assert_eq!(cost.to_string(), "0.0105");
    assert_eq!(cost.usd_f64(), 0.0105);
}

#[test]
fn a_search_costs_what_a_query_does_beside_its_tokens() {
    let price = price(json!({"input_cost_per_query": 0.002, "input_cost_per_token": 0, "output_cost_per_token": 0}));
    let usage = Usage { input: 7, searches: 3, ..Usage::default() };
    assert_eq!(cost(&usage, &price).to_string(), "0.006");
    assert_eq!(cost(&usage, &claude()).to_string(), "0.000021");
}

#[test]
fn cached_tokens_are_part_of_the_input_and_priced_apart() {
    let usage =
        Usage { input: 1000, cache_read: 600, cache_write: 200, cache_write_1h: 100, output: 10, ..Usage::default() };
    let parts = cost_breakdown(&usage, &claude());
    assert_eq!(parts.input.pico(), 100 * 3_000_000);
    assert_eq!(parts.cache_read.pico(), 600 * 300_000);
    assert_eq!(parts.cache_write.pico(), 200 * 3_750_000 + 100 * 6_000_000);
    assert_eq!(parts.output.pico(), 10 * 15_000_000);
}

#[test]
fn what_has_no_price_of_its_own_costs_what_its_kind_costs() {
    let plain = price(json!({"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}));
    let usage = Usage {
        input: 100,
        cache_read: 10,
        cache_write: 10,
        cache_write_1h: 10,
        audio_input: 10,
        output: 100,
        reasoning: 40,
        audio_output: 40,
        ..Usage::default()
    };
    assert_eq!(cost(&usage, &plain), cost(&Usage { input: 100, output: 100, ..Usage::default() }, &plain));
    let writes = price(json!({"input_cost_per_token": 1e-6, "cache_creation_input_token_cost": 5e-6}));
    let hour = Usage { input: 10, cache_write_1h: 10, ..Usage::default() };
    assert_eq!(cost(&hour, &writes).pico(), 50_000_000);
}

#[test]
fn reasoning_and_audio_have_prices_of_their_own() {
    let price = price(json!({
        "input_cost_per_token": 1e-6, "input_cost_per_audio_token": 1e-5, "output_cost_per_token": 2e-6,
        "output_cost_per_reasoning_token": 3e-6, "output_cost_per_audio_token": 2e-5,
    }));
    let usage = Usage { input: 10, audio_input: 4, output: 10, reasoning: 5, audio_output: 2, ..Usage::default() };
    let parts = cost_breakdown(&usage, &price);
    assert_eq!(parts.input.pico(), 6 * 1_000_000 + 4 * 10_000_000);
    assert_eq!(parts.output.pico(), 3 * 2_000_000 + 5 * 3_000_000 + 2 * 20_000_000);
}

#[test]
fn pictures_and_cached_sound_have_prices_of_their_own() {
    let price = price(json!({
        "input_cost_per_token": 5e-6, "input_cost_per_image_token": 1e-5, "output_cost_per_token": 1e-5,
        "output_cost_per_image_token": 4e-5, "cache_read_input_token_cost": 1e-6, "input_cost_per_audio_token": 3e-5,
        "cache_read_input_audio_token_cost": 2e-6, "output_cost_per_image": 1,
    }));
    let usage = Usage { input: 60, image_input: 40, output: 4000, image_output: 3900, pictures: 1, ..Usage::default() };
    let parts = cost_breakdown(&usage, &price);
    assert_eq!(parts.input.pico(), 20 * 5_000_000 + 40 * 10_000_000);
    assert_eq!(parts.output.pico(), 100 * 10_000_000 + 3900 * 40_000_000);
    let sound = Usage { input: 100, cache_read: 70, cache_read_audio: 50, audio_input: 60, ..Usage::default() };
    let parts = cost_breakdown(&sound, &price);
    assert_eq!(parts.cache_read.pico(), 20 * 1_000_000 + 50 * 2_000_000);
    assert_eq!(parts.input.pico(), 10 * 30_000_000 + 20 * 5_000_000);
}

#[test]
fn searches_of_the_web_are_paid_beside_the_tokens() {
    let price = price(json!({
        "input_cost_per_token": 1e-6,
        "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.03},
    }));
    let usage = Usage { input: 10, web_searches: 2, search_size: SearchSize::High, ..Usage::default() };
    let parts = cost_breakdown(&usage, &price);
    assert_eq!((parts.tools.pico(), parts.total.pico()), (60_000_000_000, 60_010_000_000));
}

#[test]
fn work_is_paid_by_the_second_where_nothing_else_is() {
    let usage = Usage { input: 10, output: 10, worked_millis: 2500, ..Usage::default() };
    let server = price(json!({"input_cost_per_second": 0.002}));
    assert!(server.is_by_work() && server.prices(&usage));
    assert_eq!(cost(&usage, &server).to_string(), "0.005");
    let both = price(json!({"input_cost_per_second": 0.002, "input_cost_per_token": 1e-6}));
    assert_eq!(cost(&usage, &both).to_string(), "0.00001");
    let replicate = crate::Model::unlisted("replicate", "somebody/model").price();
    assert_eq!(cost(&usage, &replicate).to_string(), "0.0035");
}

#[test]
fn tokens_cost_more_in_one_country_and_in_haste_and_tools_do_not() {
    let price = price(json!({
        "input_cost_per_token": 5e-6, "output_cost_per_token": 25e-6, "provider_specific_entry": {"us": 1.1, "fast": 2.0},
        "search_context_cost_per_query": {"search_context_size_medium": 0.01},
    }));
    let usage = Usage { input: 10, output: 4, web_searches: 1, ..Usage::default() };
    let total = |in_us, fast| cost(&Usage { in_us, fast, ..usage }, &price).pico();
    assert_eq!(total(false, false), 150_000_000 + 10_000_000_000);
    assert_eq!(total(true, false), 165_000_000 + 10_000_000_000);
    assert_eq!(total(true, true), 330_000_000 + 10_000_000_000);
    let plain = claude();
    let elsewhere = Usage { in_us: true, fast: true, ..usage };
    assert_eq!(cost(&elsewhere, &plain), cost(&usage, &plain));
}

#[test]
fn a_request_that_is_served_first_costs_more() {
    let price = price(json!({"input_cost_per_token": 1e-6, "input_cost_per_token_priority": 2e-6}));
    let usage = Usage { input: 10, tier: ServiceTier::Priority, ..Usage::default() };
    assert_eq!(cost(&usage, &price).pico(), 20_000_000);
}

#[test]
fn a_discount_and_a_margin_are_part_of_every_cost() {
    let adjustments = crate::Adjustments::read(
        &Map::from_iter([("openai".to_owned(), json!(0.1))]),
        &Map::from_iter([("openai".to_owned(), json!({"percentage": 0.5}))]),
    );
    let price = claude().adjusted(adjustments.of("openai"));
    let parts = cost_breakdown(&Usage { input: 1000, ..Usage::default() }, &price);
    assert_eq!(parts.original.pico(), 3_000_000_000);
    assert_eq!((parts.discount.pico(), parts.margin.pico()), (300_000_000, 1_350_000_000));
    assert_eq!(parts.total.pico(), 4_050_000_000);
    assert_eq!(price.in_batches().adjustment, adjustments.of("openai"));
}

#[test]
fn details_beyond_the_total_are_cut_with_cached_tokens_taken_first() {
    let usage = Usage {
        input: 100,
        cache_read: 80,
        cache_write: 50,
        audio_input: 70,
        output: 10,
        reasoning: 99,
        ..Usage::default()
    };
    let parts = cost_breakdown(&usage, &claude());
    assert_eq!(parts.cache_read.pico(), 80 * 300_000);
    assert_eq!(parts.cache_write.pico(), 20 * 3_750_000);
    assert_eq!(parts.input, Cost::default());
    assert_eq!(parts.output.pico(), 10 * 15_000_000);
}

#[test]
fn a_tier_is_chosen_by_the_whole_prompt_and_holds_for_every_token() {
    let price = price(json!({
        "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
        "input_cost_per_token_above_200k_tokens": 2e-6, "output_cost_per_token_above_200k_tokens": 3e-6,
    }));
    let usage = Usage { input: 200_001, cache_read: 200_000, output: 10, ..Usage::default() };
    assert_eq!(cost(&usage, &price).pico(), 200_001 * 2_000_000 + 10 * 3_000_000);
}

#[test]
fn a_cost_that_the_provider_states_wins_and_is_never_negative() {
    let stated =
        |nanos| cost_breakdown(&Usage { input: 10, stated_cost_nanos: Some(nanos), ..Usage::default() }, &claude());
    assert_eq!(stated(42).total.money(), Money::from_nanos(42));
    assert!(stated(42).stated);
    assert_eq!(stated(-42).total, Cost::default());
    assert_eq!(stated(i64::MAX).total.money(), Money::from_nanos(i64::MAX));
}

#[test]
fn less_than_a_nano_dollar_is_shown_exactly_and_booked_rounded() {
    let check = |pico, shown: &str, nanos| {
        let cost = Cost::from_pico(pico);
        assert_eq!(cost.to_string(), shown);
        assert_eq!(serde_json::to_string(&cost).unwrap(), shown);
        assert_eq!(cost.usd_f64(), shown.parse::<f64>().unwrap());
        assert_eq!(cost.money().nanos(), nanos);
    };
    check(499, "0.000000000499", 0);
    check(500, "0.0000000005", 0);
    check(501, "0.000000000501", 1);
    check(1500, "0.0000000015", 2);
    check(710_000, "0.00000071", 710);
    check(-1, "0", 0);
}

#[test]
fn absurd_numbers_saturate() {
    let usage = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
    let dearest = price(json!({"input_cost_per_token": 1e300, "output_cost_per_token": 1e300}));
    assert_eq!(cost(&usage, &dearest).pico(), i128::MAX);
    assert_eq!(cost(&usage, &dearest).money(), Money::from_nanos(i64::MAX));
}

/// Tokens up to a long context, details now and then larger than their total.
fn any_usage() -> impl Strategy<Value = Usage> {
    let tokens = || prop_oneof![0..500_000_u64, Just(u64::MAX)];
    (tokens(), tokens(), [0..300_000_u64, 0..9_000, 0..9_000, 0..9_000], [0..9_000_u64, 0..9_000]).prop_map(
        |(input, output, [cache_read, cache_write, cache_write_1h, audio_input], [reasoning, audio_output])| Usage {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
            audio_input,
            audio_output,
            searches: cache_read % 5,
            cache_read_audio: cache_write,
            image_input: reasoning,
            image_output: audio_input,
            web_searches: input % 7,
            pictures: output % 3,
            pixels: cache_read % 2 * 1_048_576,
            worked_millis: output % 11,
            in_us: input % 3 == 0,
            fast: input % 5 == 0,
            tier: if input % 2 == 0 { ServiceTier::Priority } else { ServiceTier::Unsaid },
            ..Usage::default()
        },
    )
}

const KEYS: [&str; 14] = [
    "input_cost_per_query",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "output_cost_per_reasoning_token",
    "input_cost_per_audio_token",
    "output_cost_per_audio_token",
    "cache_read_input_audio_token_cost",
    "input_cost_per_image_token",
    "output_cost_per_image_token",
    "output_cost_per_image",
    "input_cost_per_pixel",
];

/// Any subset of the prices, negative ones too. `tiered`: each with a dearer tier above 200,000 tokens.
fn any_price(tiered: bool) -> impl Strategy<Value = Price> {
    proptest::collection::vec(proptest::option::of(-1e-6..1e-4_f64), KEYS.len()).prop_map(move |prices| {
        let mut map = Map::new();
        for (key, usd) in KEYS.iter().zip(prices).filter_map(|(key, usd)| Some((key, usd?))) {
            map.insert((*key).to_owned(), json!(usd));
            if tiered {
                map.insert(format!("{key}_above_200k_tokens"), json!(usd.abs() * 2.0));
            }
        }
        map.insert("provider_specific_entry".to_owned(), json!({"us": 1.1}));
        Price::from_map(&map)
    })
}

proptest! {
    #[test]
    fn a_cost_is_never_negative(usage in any_usage(), price in any_price(true), stated in any::<Option<i64>>()) {
        let cost = cost(&Usage { stated_cost_nanos: stated, ..usage }, &price);
        prop_assert!(cost.pico() >= 0);
        prop_assert!(cost.money() >= Money::ZERO);
    }

    #[test]
    fn more_tokens_never_cost_less(
        usage in any_usage(), price in any_price(true), input in 0..300_000_u64, output in 0..300_000_u64,
    ) {
        let more = Usage {
            input: usage.input.saturating_add(input),
            output: usage.output.saturating_add(output),
            ..usage
        };
        prop_assert!(cost(&more, &price) >= cost(&usage, &price));
    }

    #[test]
    fn the_parts_add_up_to_the_whole(usage in any_usage(), price in any_price(false)) {
        let parts = cost_breakdown(&usage, &price);
        let all = [parts.input, parts.cache_read, parts.cache_write, parts.output, parts.tools];
        prop_assert_eq!(all.iter().map(|part| part.pico()).sum::<i128>(), parts.total.pico());
        if parts.total.money() < Money::from_nanos(i64::MAX) {
            // Each part booked alone is off by at most half a nano-dollar.
            let booked: i64 = all.iter().map(|part| part.money().nanos()).sum();
            prop_assert!((booked - parts.total.money().nanos()).abs() <= 3);
        }
    }

    #[test]
    fn floats_would_have_said_nearly_the_same(
        input in 0..2_000_000_u64, output in 0..200_000_u64, input_price in 0..100_000_000_u32, output_price in 0..100_000_000_u32,
    ) {
        let (input_usd, output_usd) = (f64::from(input_price) / 1e12, f64::from(output_price) / 1e12);
        let price = price(json!({"input_cost_per_token": input_usd, "output_cost_per_token": output_usd}));
        let expected = input as f64 * input_usd + output as f64 * output_usd;
        let usd = cost(&Usage { input, output, ..Usage::default() }, &price).usd_f64();
        prop_assert!((usd - expected).abs() <= expected * 1e-9, "{usd} {expected}");
    }
}

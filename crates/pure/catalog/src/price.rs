//! What a model costs per token, and per search where it ranks: exact integers, with tiers by the length of the prompt.
//!
//! Prices per second, character or image are facts of a [`Model`](crate::Model), but not part of a [`Price`].

use crate::cost::Cost;
use crate::decimal;
use serde_json::{Map, Value};

/// Pico-dollars (10^-12 USD) per unit. Of the 10,388 token prices in the catalog's source, 4 are not whole
/// pico-dollars; they are rounded half to even, which also removes float noise (`1.5000020000000002e-05`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoPrice(u64);

impl PicoPrice {
    /// So many pico-dollars per unit.
    #[must_use]
    pub const fn new(pico: u64) -> PicoPrice {
        PicoPrice(pico)
    }

    /// Reads US dollars per unit: a JSON number, or a string holding one (YAML 1.1 reads `1e-6` as a string).
    /// A negative price is zero: a call never earns money. What is too large saturates.
    #[must_use]
    pub fn from_usd(value: &Value) -> Option<PicoPrice> {
        let pico = match value {
            // Printed at its shortest, a float gives back the digits that were written.
            Value::Number(number) => decimal::parse(&number.to_string(), 12),
            Value::String(text) => decimal::parse(text.trim(), 12),
            _ => None,
        }?;
        Some(PicoPrice(u64::try_from(pico.max(0)).unwrap_or(u64::MAX)))
    }

    /// Pico-dollars per unit.
    #[must_use]
    pub const fn pico(self) -> u64 {
        self.0
    }

    /// What so many units cost, in pico-dollars; saturates.
    pub(crate) fn times(self, units: u64) -> i128 {
        i128::from(self.0).saturating_mul(i128::from(units))
    }
}

/// The prices per token that hold for one call. `None`: not stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Input text.
    pub input: Option<PicoPrice>,
    /// Output text.
    pub output: Option<PicoPrice>,
    /// Input read from the provider's prompt cache; else `input`.
    pub cache_read: Option<PicoPrice>,
    /// Input written to the provider's prompt cache for 5 minutes; else `input`.
    pub cache_write: Option<PicoPrice>,
    /// Input written to the provider's prompt cache for 1 hour; else `cache_write`.
    pub cache_write_1h: Option<PicoPrice>,
    /// Reasoning; else `output`.
    pub reasoning: Option<PicoPrice>,
    /// Audio that is heard; else `input`.
    pub audio_input: Option<PicoPrice>,
    /// Audio that is spoken; else `output`.
    pub audio_output: Option<PicoPrice>,
}

impl Rates {
    /// The price that a key of the map states, without its tier.
    fn named(&mut self, key: &str) -> Option<&mut Option<PicoPrice>> {
        Some(match key {
            "input_cost_per_token" => &mut self.input,
            "output_cost_per_token" => &mut self.output,
            "cache_read_input_token_cost" => &mut self.cache_read,
            "cache_creation_input_token_cost" => &mut self.cache_write,
            "cache_creation_input_token_cost_above_1hr" => &mut self.cache_write_1h,
            "output_cost_per_reasoning_token" => &mut self.reasoning,
            "input_cost_per_audio_token" => &mut self.audio_input,
            "output_cost_per_audio_token" => &mut self.audio_output,
            _ => return None,
        })
    }

    /// Half of each, rounded down to whole pico-dollars.
    fn halved(self) -> Rates {
        let half = |price: Option<PicoPrice>| price.map(|price| PicoPrice(price.0 / 2));
        Rates {
            input: half(self.input),
            output: half(self.output),
            cache_read: half(self.cache_read),
            cache_write: half(self.cache_write),
            cache_write_1h: half(self.cache_write_1h),
            reasoning: half(self.reasoning),
            audio_input: half(self.audio_input),
            audio_output: half(self.audio_output),
        }
    }

    /// These rates, and where they are silent the others.
    fn or(self, other: Rates) -> Rates {
        // A reasoning price that merely repeats the output price moves with it into the tier.
        let reasoning = match self.output {
            Some(output) if other.reasoning == other.output => Some(output),
            _ => other.reasoning,
        };
        Rates {
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            cache_read: self.cache_read.or(other.cache_read),
            cache_write: self.cache_write.or(other.cache_write),
            cache_write_1h: self.cache_write_1h.or(other.cache_write_1h),
            reasoning: self.reasoning.or(reasoning),
            audio_input: self.audio_input.or(other.audio_input),
            audio_output: self.audio_output.or(other.audio_output),
        }
    }
}

/// Rates for prompts longer than a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tier {
    /// Prompt tokens, cached ones and all.
    above: u64,
    rates: Rates,
}

/// Rates, and those for longer prompts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tariff {
    base: Rates,
    /// By rising bound, each bound once.
    tiers: Vec<Tier>,
}

/// What a model costs per token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    usual: Tariff,
    /// What is stated of requests that come in a batch (`…_batches`).
    batches: Tariff,
    tiers_begin_at_bound: bool,
    per_search: PicoPrice,
    per_second: Option<PicoPrice>,
    per_character: Option<PicoPrice>,
}

impl Price {
    /// What so much sound costs that is listened to, where it is paid by the second.
    #[must_use]
    pub fn heard(&self, millis: u64) -> Option<Cost> {
        self.per_second.map(|price| Cost::from_pico(price.times(millis) / 1000))
    }

    /// What so many characters cost that are spoken, where they are paid one by one.
    #[must_use]
    pub fn spoken(&self, characters: u64) -> Option<Cost> {
        self.per_character.map(|price| Cost::from_pico(price.times(characters)))
    }

    /// Reads a price from facts or configuration in LiteLLM's spelling: `input_cost_per_token`,
    /// `input_cost_per_token_above_200k_tokens`, `tiered_pricing`, … Other keys, and values that are no numbers, are
    /// passed over.
    #[must_use]
    pub fn from_map(map: &Map<String, Value>) -> Price {
        let mut price = Price::default();
        let listed = map.get("tiered_pricing").and_then(Value::as_array);
        for tier in listed.into_iter().flatten().filter_map(Value::as_object) {
            price.read_listed_tier(tier);
        }
        price.per_search = map.get("input_cost_per_query").and_then(PicoPrice::from_usd).unwrap_or_default();
        for (key, value) in map {
            let tariff = if key.ends_with(OF_BATCHES) { &mut price.batches } else { &mut price.usual };
            let (name, above) = tier_of(key.strip_suffix(OF_BATCHES).unwrap_or(key));
            tariff.set(name, above, value);
        }
        let of = |name: &str| map.get(name).and_then(PicoPrice::from_usd);
        price.per_second = of("input_cost_per_second").or_else(|| of("output_cost_per_second"));
        price.per_character = of("input_cost_per_character");
        price
    }

    /// A tier begins at its bound instead of above it, as `xAI` counts.
    #[must_use]
    pub fn with_tiers_beginning_at_their_bound(mut self, begin_at_bound: bool) -> Price {
        self.tiers_begin_at_bound = begin_at_bound;
        self
    }

    /// What one search costs (`input_cost_per_query`); nothing where it is not stated.
    #[must_use]
    pub const fn per_search(&self) -> PicoPrice {
        self.per_search
    }

    /// Some price per token is stated, even if it is zero, or one per search.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        self.usual != Tariff::default() || self.per_search != PicoPrice::default()
    }

    /// What the same costs in a batch: what is stated of batches, and half of the rest, as providers give half off and
    /// `LiteLLM` counts. Searches cost what they cost.
    #[must_use]
    pub fn in_batches(&self) -> Price {
        Price { usual: self.batches.clone().or(self.usual.halved()), ..self.clone() }
    }

    /// The rates of a call with so many prompt tokens, for all of its tokens.
    #[must_use]
    pub fn rates(&self, prompt_tokens: u64) -> Rates {
        let passed =
            |tier: &&Tier| prompt_tokens > tier.above || (self.tiers_begin_at_bound && prompt_tokens == tier.above);
        self.usual.tiers.iter().take_while(passed).fold(self.usual.base, |rates, tier| tier.rates.or(rates))
    }

    /// One entry of `tiered_pricing`: `{"range": [from, to], …}`; the first holds from 0 and is the base.
    fn read_listed_tier(&mut self, tier: &Map<String, Value>) {
        let Some(from) = tier.get("range").and_then(|range| range.get(0)).and_then(Value::as_f64) else { return };
        // Saturates; a bound is never negative nor fractional.
        let above = (from >= 1.0).then_some(from as u64);
        for (key, value) in tier {
            self.usual.set(key, above, value);
        }
    }
}

impl Tariff {
    fn set(&mut self, name: &str, above: Option<u64>, value: &Value) {
        let (Some(price), true) = (PicoPrice::from_usd(value), Rates::default().named(name).is_some()) else { return };
        let rates = match above {
            None => Some(&mut self.base),
            Some(above) => self.tier(above),
        };
        if let Some(rate) = rates.and_then(|rates| rates.named(name)) {
            *rate = Some(price);
        }
    }

    fn tier(&mut self, above: u64) -> Option<&mut Rates> {
        let place = self.tiers.partition_point(|tier| tier.above < above);
        if self.tiers.get(place).is_none_or(|tier| tier.above != above) {
            self.tiers.insert(place, Tier { above, rates: Rates::default() });
        }
        self.tiers.get_mut(place).map(|tier| &mut tier.rates)
    }

    fn halved(&self) -> Tariff {
        let tiers = self.tiers.iter().map(|tier| Tier { rates: tier.rates.halved(), ..*tier }).collect();
        Tariff { base: self.base.halved(), tiers }
    }

    /// This tariff, and where it is silent the other.
    fn or(mut self, other: Tariff) -> Tariff {
        self.base = self.base.or(other.base);
        for Tier { above, rates } in other.tiers {
            if let Some(own) = self.tier(above) {
                *own = own.or(rates);
            }
        }
        self
    }
}

/// How keys end that state prices of batches.
const OF_BATCHES: &str = "_batches";

/// Splits `…_above_200k_tokens` into its name and 200,000.
fn tier_of(key: &str) -> (&str, Option<u64>) {
    let tier = key.strip_suffix("k_tokens").and_then(|rest| rest.rsplit_once("_above_"));
    match tier.map(|(name, thousands)| (name, thousands.parse::<u64>())) {
        Some((name, Ok(thousands))) => (name, Some(thousands.saturating_mul(1000))),
        _ => (key, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn price(facts: Value) -> Price {
        let Value::Object(map) = facts else { panic!("not an object") };
        Price::from_map(&map)
    }

    fn pico(value: u64) -> Option<PicoPrice> {
        Some(PicoPrice::new(value))
    }

    #[test]
    fn prices_are_read_from_numbers_and_strings_and_never_negative() {
        let check = |value: Value, expected| assert_eq!(PicoPrice::from_usd(&value), expected, "{value}");
        check(json!(2.5e-6), pico(2_500_000));
        check(json!(3), pico(3_000_000_000_000));
        check(json!("1e-6"), pico(1_000_000));
        check(json!(-1e-6), pico(0));
        check(json!(1e300), pico(u64::MAX));
        check(json!(null), None);
        check(json!(true), None);
        check(json!("cheap"), None);
    }

    #[test]
    fn the_highest_tier_that_is_passed_holds_and_the_rest_comes_from_below() {
        let price = price(json!({
            "input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6, "cache_read_input_token_cost": 1e-7,
            "output_cost_per_token_above_272k_tokens": 9e-6,
            "input_cost_per_token_above_128k_tokens": 2e-6, "input_cost_per_token_above_272k_tokens": 3e-6,
            "input_cost_per_token_above_272k_tokens_priority": 7.0, "input_cost_per_token_batches": 7.0,
        }));
        let check = |tokens, input, output| {
            let rates = price.rates(tokens);
            assert_eq!((rates.input, rates.output), (pico(input), pico(output)), "{tokens}");
            assert_eq!(rates.cache_read, pico(100_000));
        };
        check(0, 1_000_000, 4_000_000);
        check(128_000, 1_000_000, 4_000_000);
        check(128_001, 2_000_000, 4_000_000);
        check(272_000, 2_000_000, 4_000_000);
        check(272_001, 3_000_000, 9_000_000);
        check(u64::MAX, 3_000_000, 9_000_000);
    }

    #[test]
    fn a_batch_costs_what_is_stated_of_batches_and_half_of_the_rest() {
        let usual = price(json!({
            "input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6, "cache_read_input_token_cost": 1e-6,
            "input_cost_per_token_above_200k_tokens": 4e-6, "output_cost_per_token_above_200k_tokens": 12e-6,
            "input_cost_per_token_batches": 1.5e-6, "output_cost_per_token_above_200k_tokens_batches": 5e-6,
            "input_cost_per_query": 1,
        }));
        let rates = |tokens| {
            let rates = usual.in_batches().rates(tokens);
            (rates.input, rates.output, rates.cache_read)
        };
        assert_eq!(rates(200_000), (pico(1_500_000), pico(4_000_000), pico(500_000)));
        assert_eq!(rates(200_001), (pico(2_000_000), pico(5_000_000), pico(500_000)));
        assert_eq!(usual.rates(1).input, pico(2_000_000));
        assert_eq!(usual.in_batches().per_search(), usual.per_search());
        assert!(!Price::default().in_batches().is_stated());
    }

    #[test]
    fn a_tier_may_begin_at_its_bound() {
        let price = price(json!({"input_cost_per_token": 1, "input_cost_per_token_above_200k_tokens": 2}))
            .with_tiers_beginning_at_their_bound(true);
        assert_eq!(price.rates(199_999).input, pico(1_000_000_000_000));
        assert_eq!(price.rates(200_000).input, pico(2_000_000_000_000));
    }

    #[test]
    fn a_cache_write_for_an_hour_has_tiers_of_its_own() {
        let price = price(json!({
            "cache_creation_input_token_cost_above_1hr": 1e-6,
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 2e-6,
        }));
        assert_eq!(price.rates(200_000).cache_write_1h, pico(1_000_000));
        assert_eq!(price.rates(200_001).cache_write_1h, pico(2_000_000));
        assert_eq!(price.rates(200_001).cache_write, None);
    }

    #[test]
    fn listed_tiers_are_the_same_thing() {
        let price = price(json!({"tiered_pricing": [
            {"range": [0, 32_000.0], "input_cost_per_token": 3e-7, "output_cost_per_token": 1e-6},
            {"range": [32_000.0, 128_000.0], "input_cost_per_token": 5e-7, "output_cost_per_token": 2e-6},
        ]}));
        assert!(price.is_stated());
        assert_eq!(price.rates(32_000).input, pico(300_000));
        assert_eq!(price.rates(32_001).output, pico(2_000_000));
    }

    #[test]
    fn a_reasoning_price_that_repeats_the_output_price_follows_it_into_the_tier() {
        let tiered = |reasoning: f64| {
            price(json!({
                "output_cost_per_token": 1e-6, "output_cost_per_reasoning_token": reasoning,
                "output_cost_per_token_above_200k_tokens": 2e-6,
            }))
        };
        assert_eq!(tiered(1e-6).rates(200_001).reasoning, pico(2_000_000));
        assert_eq!(tiered(5e-6).rates(200_001).reasoning, pico(5_000_000));
    }

    #[test]
    fn sound_is_paid_by_the_second_and_speech_by_the_character() {
        let price = price(json!({"input_cost_per_second": 0.0001, "input_cost_per_character": 1.5e-5}));
        assert_eq!(price.heard(1500).map(|cost| cost.to_string()).as_deref(), Some("0.00015"));
        assert_eq!(price.spoken(2).map(|cost| cost.to_string()).as_deref(), Some("0.00003"));
        assert!(Price::default().heard(1).is_none() && Price::default().spoken(1).is_none());
        assert!(!price.is_stated());
    }

    #[test]
    fn a_free_model_has_a_price_and_an_unpriced_one_has_none() {
        assert!(price(json!({"input_cost_per_token": 0})).is_stated());
        assert!(
            !price(json!({"input_cost_per_token": null, "output_cost_per_image": 0.04, "mode": "chat"})).is_stated()
        );
    }
}

//! What a model costs per token: exact integers, with tiers by the length of the prompt and by how it is served. What is paid by
//! other units is in `units.rs`.

use crate::adjust::Adjustment;
use crate::cost::Cost;
use crate::decimal;
use crate::units::UnitPrices;
use serde_json::{Map, Value};
use tollgate_wire::usage::ServiceTier;

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

    /// The sum; saturates.
    pub(crate) fn saturating_add(self, other: PicoPrice) -> PicoPrice {
        PicoPrice(self.0.saturating_add(other.0))
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
    /// Audio read from the provider's prompt cache; else `cache_read`.
    pub cache_read_audio: Option<PicoPrice>,
    /// Pictures that are looked at; else `input`.
    pub image_input: Option<PicoPrice>,
    /// Pictures that are drawn; else `output`.
    pub image_output: Option<PicoPrice>,
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
            "cache_read_input_audio_token_cost" => &mut self.cache_read_audio,
            "input_cost_per_image_token" => &mut self.image_input,
            "output_cost_per_image_token" => &mut self.image_output,
            _ => return None,
        })
    }

    /// Half of each, rounded down to whole pico-dollars.
    fn halved(self) -> Rates {
        self.with(Rates::default(), |own, _| own.map(|price| PicoPrice(price.0 / 2)))
    }

    /// These rates, and where they are silent the others.
    fn or(self, other: Rates) -> Rates {
        // A reasoning price that merely repeats the output price moves with it into the tier.
        let reasoning = match self.output {
            Some(output) if other.reasoning == other.output => Some(output),
            _ => other.reasoning,
        };
        self.with(Rates { reasoning, ..other }, Option::or)
    }

    fn with(self, other: Rates, join: impl Fn(Option<PicoPrice>, Option<PicoPrice>) -> Option<PicoPrice>) -> Rates {
        Rates {
            input: join(self.input, other.input),
            output: join(self.output, other.output),
            cache_read: join(self.cache_read, other.cache_read),
            cache_write: join(self.cache_write, other.cache_write),
            cache_write_1h: join(self.cache_write_1h, other.cache_write_1h),
            reasoning: join(self.reasoning, other.reasoning),
            audio_input: join(self.audio_input, other.audio_input),
            audio_output: join(self.audio_output, other.audio_output),
            cache_read_audio: join(self.cache_read_audio, other.cache_read_audio),
            image_input: join(self.image_input, other.image_input),
            image_output: join(self.image_output, other.image_output),
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

/// What a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    usual: Tariff,
    /// What is stated of requests that are served otherwise (`…_priority`), the usual where that is silent.
    services: Vec<(ServiceTier, Tariff)>,
    /// What is stated of requests that come in a batch (`…_batches`).
    batches: Tariff,
    tiers_begin_at_bound: bool,
    pub(crate) units: UnitPrices,
    pub(crate) adjustment: Adjustment,
}

impl Price {
    /// What so much sound costs that is listened to, where it is paid by the second.
    #[must_use]
    pub fn heard(&self, millis: u64) -> Option<Cost> {
        self.units.heard(millis)
    }

    /// What so many characters cost that are spoken, where they are paid one by one.
    #[must_use]
    pub fn spoken(&self, characters: u64) -> Option<Cost> {
        self.units.spoken(characters)
    }

    /// What so many pages cost that are read, where they are paid one by one (`ocr_cost_per_page`).
    #[must_use]
    pub fn read(&self, pages: u64) -> Option<Cost> {
        self.units.read(pages)
    }

    /// Reads a price from facts or configuration in LiteLLM's spelling: `input_cost_per_token`,
    /// `input_cost_per_token_above_200k_tokens`, `tiered_pricing`, … Other keys, and values that are no numbers, are
    /// passed over.
    #[must_use]
    pub fn from_map(map: &Map<String, Value>) -> Price {
        let mut price = Price { units: UnitPrices::from_map(map), ..Price::default() };
        let listed = map.get("tiered_pricing").and_then(Value::as_array);
        for tier in listed.into_iter().flatten().filter_map(Value::as_object) {
            price.read_listed_tier(tier);
        }
        for (key, value) in map {
            let (key, tariff) = price.tariff_of(key);
            let (name, above) = tier_of(key);
            tariff.set(name, above, value);
        }
        let usual = price.usual.clone();
        price.services.retain(|(_, tariff)| *tariff != Tariff::default());
        for (_, tariff) in &mut price.services {
            *tariff = std::mem::take(tariff).or(usual.clone());
        }
        price
    }

    /// A tier begins at its bound instead of above it, as `xAI` counts.
    #[must_use]
    pub fn with_tiers_beginning_at_their_bound(mut self, begin_at_bound: bool) -> Price {
        self.tiers_begin_at_bound = begin_at_bound;
        self
    }

    /// The price with a discount and a margin, which every cost by it has from then on.
    #[must_use]
    pub fn adjusted(mut self, adjustment: Adjustment) -> Price {
        self.adjustment = adjustment;
        self
    }

    /// The price where a second of work costs this unless something is stated.
    pub(crate) fn or_by_work(mut self, second: PicoPrice) -> Price {
        if !self.is_stated() {
            self.units.work_costs(second);
        }
        self
    }

    /// What one search costs (`input_cost_per_query`); nothing where it is not stated.
    #[must_use]
    pub fn per_search(&self) -> PicoPrice {
        self.units.per_search.unwrap_or_default()
    }

    /// Some price per token is stated, even if it is zero, or one per search.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        self.usual != Tariff::default() || self.per_search() != PicoPrice::default()
    }

    /// Something is stated, whatever it is paid by.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_stated() || self.units != UnitPrices::default()
    }

    /// Pictures of this size have a price of their own.
    #[must_use]
    pub fn prices_pictures(&self, pixels: u64) -> bool {
        self.units.prices_pictures(pixels)
    }

    /// What the provider works is paid by the second, and nothing else is: a server of one's own, Replicate, a commitment.
    #[must_use]
    pub fn is_by_work(&self) -> bool {
        !self.is_stated() && self.units.prices_work()
    }

    /// This usage has a price: that of its kind is stated, or the provider has stated the cost.
    #[must_use]
    pub fn prices(&self, usage: &tollgate_wire::Usage) -> bool {
        usage.stated_cost_nanos.is_some()
            || self.is_stated()
            || (usage.pictures > 0 && self.prices_pictures(usage.pixels))
            || (usage.worked_millis > 0 && self.units.prices_work())
    }

    /// What the same costs in a batch: what is stated of batches, and half of the rest, as providers give half off and
    /// `LiteLLM` counts. Searches cost what they cost.
    #[must_use]
    pub fn in_batches(&self) -> Price {
        let usual = self.batches.clone().or(self.usual.halved());
        Price { usual, services: Vec::new(), ..self.clone() }
    }

    /// The rates of a call with so many prompt tokens, for all of its tokens, served as usual.
    #[must_use]
    pub fn rates(&self, prompt_tokens: u64) -> Rates {
        self.rates_of(ServiceTier::Unsaid, prompt_tokens)
    }

    /// The rates of a call that is served so.
    #[must_use]
    pub fn rates_of(&self, tier: ServiceTier, prompt_tokens: u64) -> Rates {
        let passed =
            |tier: &&Tier| prompt_tokens > tier.above || (self.tiers_begin_at_bound && prompt_tokens == tier.above);
        let service = self.services.iter().find(|(service, _)| *service == tier);
        let tariff = service.map_or(&self.usual, |(_, tariff)| tariff);
        tariff.tiers.iter().take_while(passed).fold(tariff.base, |rates, tier| tier.rates.or(rates))
    }

    /// Where a key belongs by its ending, and the key without that.
    fn tariff_of<'k>(&mut self, key: &'k str) -> (&'k str, &mut Tariff) {
        if let Some(key) = key.strip_suffix(OF_BATCHES) {
            return (key, &mut self.batches);
        }
        let served = OF_SERVICES.iter().find_map(|(ending, service)| Some((key.strip_suffix(ending)?, *service)));
        let Some((key, service)) = served else { return (key, &mut self.usual) };
        let at = self.services.iter().position(|(known, _)| *known == service).unwrap_or_else(|| {
            self.services.push((service, Tariff::default()));
            self.services.len() - 1
        });
        match self.services.get_mut(at) {
            Some((_, tariff)) => (key, tariff),
            None => (key, &mut self.usual),
        }
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

/// How keys end that state prices of requests that are served otherwise.
const OF_SERVICES: [(&str, ServiceTier); 4] = [
    ("_flex", ServiceTier::Flex),
    ("_balanced", ServiceTier::Balanced),
    ("_priority", ServiceTier::Priority),
    ("_ultrafast", ServiceTier::Ultrafast),
];

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
    fn what_is_served_otherwise_costs_what_is_stated_of_that_and_else_the_usual() {
        let price = price(json!({
            "input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6, "cache_read_input_token_cost": 1e-6,
            "input_cost_per_token_above_272k_tokens": 4e-6, "input_cost_per_token_above_272k_tokens_priority": 9e-6,
            "input_cost_per_token_priority": 5e-6, "output_cost_per_token_flex": 4e-6,
        }));
        let rates = |tier, tokens| {
            let rates = price.rates_of(tier, tokens);
            (rates.input, rates.output, rates.cache_read)
        };
        let usual = (pico(2_000_000), pico(8_000_000), pico(1_000_000));
        assert_eq!(rates(ServiceTier::Unsaid, 1), usual);
        assert_eq!(rates(ServiceTier::Standard, 1), usual);
        assert_eq!(rates(ServiceTier::Ultrafast, 1), usual);
        assert_eq!(rates(ServiceTier::Priority, 272_000), (pico(5_000_000), pico(8_000_000), pico(1_000_000)));
        assert_eq!(rates(ServiceTier::Priority, 272_001).0, pico(9_000_000));
        assert_eq!(rates(ServiceTier::Flex, 272_001), (pico(4_000_000), pico(4_000_000), pico(1_000_000)));
        assert_eq!(price.in_batches().rates_of(ServiceTier::Priority, 1).input, pico(1_000_000));
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

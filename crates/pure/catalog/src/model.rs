//! One model: its facts as the source states them, and what the gateway reads out of them.

use crate::adjust::Adjustment;
use crate::price::{PicoPrice, Price};
use serde_json::{Map, Value};
use tollgate_wire::facts::ModelFacts;

/// What is known about one upstream model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    name: String,
    provider: String,
    known: bool,
    facts: Map<String, Value>,
    adjustment: Adjustment,
}

impl Model {
    pub(crate) fn listed(name: &str, provider: &str, facts: Map<String, Value>) -> Model {
        Model {
            name: name.to_owned(),
            provider: provider.to_owned(),
            known: true,
            facts,
            adjustment: Adjustment::default(),
        }
    }

    /// The model with a discount and a margin on its price.
    #[must_use]
    pub fn adjusted(mut self, adjustment: Adjustment) -> Model {
        self.adjustment = adjustment;
        self
    }

    /// A model that the catalog does not list: no facts, no price, until a configuration gives some.
    #[must_use]
    pub fn unlisted(provider: &str, name: &str) -> Model {
        Model {
            name: name.to_owned(),
            provider: provider.to_owned(),
            known: false,
            facts: Map::new(),
            adjustment: Adjustment::default(),
        }
    }

    /// The name of the catalog's row, with the provider where the source writes it so (`groq/llama-3.1-8b-instant`).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The provider as the source spells it (`vertex_ai-language-models`).
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// All facts under LiteLLM's names (`litellm_provider`, `mode`, `max_input_tokens`, …), for `/model/info`.
    #[must_use]
    pub fn raw_facts(&self) -> &Map<String, Value> {
        &self.facts
    }

    /// What a dialect must know.
    #[must_use]
    pub fn facts(&self) -> ModelFacts {
        ModelFacts {
            known: self.known,
            max_input_tokens: self.tokens("max_input_tokens"),
            // LiteLLM's older key for the same, where the newer one is not given.
            max_output_tokens: self.tokens("max_output_tokens").or_else(|| self.tokens("max_tokens")),
            reasoning: self.is("supports_reasoning"),
            tools: self.is("supports_function_calling"),
            tool_choice: self.is("supports_tool_choice"),
            response_schema: self.is("supports_response_schema"),
            vision: self.is("supports_vision"),
            prompt_caching: self.is("supports_prompt_caching"),
            schema_parameter: self.is("supports_native_structured_output"),
            adaptive_thinking: self.is("supports_adaptive_thinking"),
            xhigh_effort: self.is("supports_xhigh_reasoning_effort"),
            rests_by_default: self.facts.get("default_reasoning_effort").is_some_and(|effort| effort == "none"),
            max_effort: self.is("supports_max_reasoning_effort"),
            fixed_sampling: self.denies("supports_sampling_params"),
            free_tool_choice: self.denies("supports_forced_tool_use"),
            mode: self.facts.get("mode").and_then(Value::as_str).unwrap_or_default().to_owned(),
        }
    }

    /// What it costs.
    #[must_use]
    pub fn price(&self) -> Price {
        let price = Price::from_map(&self.facts)
            .adjusted(self.adjustment)
            .with_tiers_beginning_at_their_bound(self.provider == "xai");
        if self.provider == "replicate" { price.or_by_work(REPLICATE_SECOND) } else { price }
    }

    /// The model with facts and prices of a configuration's `model_info` in place of the catalog's. Nulls are unset.
    ///
    /// A price for input takes the place of every price for input tokens in the catalog, tiers and cached ones too,
    /// and the same for output: a list price for cached tokens means nothing beside a negotiated one.
    #[must_use]
    pub fn with_overrides(mut self, overrides: &Map<String, Value>) -> Model {
        for (stated, replaced) in DIRECTIONS {
            if overrides.get(stated).is_some_and(|price| !price.is_null()) {
                remove_prices(&mut self.facts, replaced);
            }
        }
        let stated = overrides.iter().filter(|(_, value)| !value.is_null());
        self.facts.extend(stated.map(|(key, value)| (key.clone(), value.clone())));
        self
    }

    /// The same with the price keys alone, for `litellm_params`: there `max_tokens` is a parameter, and a key a secret.
    #[must_use]
    pub fn with_price_overrides(self, overrides: &Map<String, Value>) -> Model {
        let prices = overrides.iter().filter(|(key, _)| is_price_key(key));
        self.with_overrides(&prices.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn is(&self, flag: &str) -> bool {
        self.facts.get(flag).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The source says no, which is more than saying nothing.
    fn denies(&self, flag: &str) -> bool {
        self.facts.get(flag).and_then(Value::as_bool) == Some(false)
    }

    fn tokens(&self, key: &str) -> Option<u64> {
        match self.facts.get(key)? {
            // A float may hold a whole number; the cast saturates.
            Value::Number(number) => {
                number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
            }
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

/// A second on Replicate's A100, which `LiteLLM` takes for models of Replicate without a price.
const REPLICATE_SECOND: PicoPrice = PicoPrice::new(1_400_000_000);

/// This key states a price: `input_cost_per_token`, `cache_read_input_token_cost_priority`, `tiered_pricing`, …
#[must_use]
pub fn is_price_key(key: &str) -> bool {
    key.contains("cost_per_")
        || key.contains("_token_cost")
        || matches!(key, "tiered_pricing" | "off_peak_pricing" | "web_search_billing_unit")
}

/// How keys begin that a price takes the place of.
type Beginnings = &'static [&'static str];

/// A stated price, and the catalog's prices that it takes the place of.
const DIRECTIONS: [(&str, Beginnings); 2] = [
    (
        "input_cost_per_token",
        &[
            "input_cost_per_token",
            "input_cost_per_audio_token",
            "input_cost_per_image_token",
            "cache_",
            "explicit_cache_",
        ],
    ),
    (
        "output_cost_per_token",
        &[
            "output_cost_per_token",
            "output_cost_per_audio_token",
            "output_cost_per_reasoning_token",
            "output_cost_per_image_token",
        ],
    ),
];

/// Removes those prices, from the lists of tiers as well.
fn remove_prices(facts: &mut Map<String, Value>, beginnings: Beginnings) {
    facts.retain(|key, _| !(is_price_key(key) && beginnings.iter().any(|beginning| key.starts_with(beginning))));
    for tier in facts.get_mut("tiered_pricing").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(tier) = tier.as_object_mut() {
            remove_prices(tier, beginnings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("not an object") };
        map
    }

    fn model(facts: Value) -> Model {
        Model::listed("m", "p", map(facts))
    }

    #[test]
    fn facts_are_read_from_numbers_floats_and_strings() {
        let facts = model(json!({
            "mode": "chat", "max_input_tokens": 2048.0, "max_tokens": "4096", "supports_vision": true,
            "supports_function_calling": false,
        }))
        .facts();
        assert!(facts.known && facts.vision && !facts.tools);
        assert_eq!((facts.max_input_tokens, facts.max_output_tokens), (Some(2048), Some(4096)));
        assert_eq!(facts.mode, "chat");
    }

    #[test]
    fn a_capability_that_is_denied_differs_from_one_that_is_not_named() {
        let facts = model(json!({"supports_sampling_params": false, "supports_forced_tool_use": true})).facts();
        assert!(facts.fixed_sampling && !facts.free_tool_choice);
        assert!(!model(json!({})).facts().fixed_sampling);
    }

    #[test]
    fn an_unlisted_model_knows_what_the_configuration_says() {
        let model = Model::unlisted("openai", "mine").with_overrides(&map(json!({
            "input_cost_per_token": "1e-6", "supports_vision": true, "max_input_tokens": null,
        })));
        assert!(!model.facts().known && model.facts().vision);
        assert_eq!(model.facts().max_input_tokens, None);
        assert_eq!(model.price().rates(1).input, Some(PicoPrice::new(1_000_000)));
    }

    #[test]
    fn a_stated_price_takes_the_place_of_its_whole_direction() {
        let listed = model(json!({
            "input_cost_per_token": 1e-6, "input_cost_per_token_above_200k_tokens": 2e-6,
            "cache_read_input_token_cost": 1e-7, "output_cost_per_token": 3e-6,
            "output_cost_per_token_above_200k_tokens": 4e-6, "output_cost_per_reasoning_token": 9e-6,
            "input_cost_per_image": 0.5,
            "tiered_pricing": [{"range": [300_000, 400_000], "input_cost_per_token": 7e-6, "output_cost_per_token": 8e-6}],
        }));
        let model = listed.with_overrides(&map(json!({"input_cost_per_token": 5e-6})));
        let rates = model.price().rates(300_001);
        assert_eq!((rates.input, rates.cache_read), (Some(PicoPrice::new(5_000_000)), None));
        assert_eq!((rates.output, rates.reasoning), (Some(PicoPrice::new(8_000_000)), Some(PicoPrice::new(9_000_000))));
        assert_eq!(model.raw_facts().get("input_cost_per_image"), Some(&json!(0.5)));
    }

    #[test]
    fn parameters_of_a_deployment_give_prices_and_nothing_else() {
        let parameters = map(json!({
            "model": "x", "api_key": "hidden", "max_tokens": 7, "output_cost_per_token": 2e-6,
            "cache_read_input_token_cost": 1e-6,
        }));
        let model = Model::unlisted("openai", "x").with_price_overrides(&parameters);
        let keys: Vec<_> = model.raw_facts().keys().collect();
        assert_eq!(keys, ["output_cost_per_token", "cache_read_input_token_cost"]);
    }

    #[test]
    fn the_tiers_of_xai_begin_at_their_bound() {
        let facts = json!({"input_cost_per_token": 1e-6, "input_cost_per_token_above_200k_tokens": 2e-6});
        let input = |provider| Model::listed("m", provider, map(facts.clone())).price().rates(200_000).input;
        assert_eq!(input("xai"), Some(PicoPrice::new(2_000_000)));
        assert_eq!(input("openai"), Some(PicoPrice::new(1_000_000)));
    }
}

//! One entry of `model_list`.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::{LitellmParams, ModelHealth};
use crate::{Location, fields::Fields, keys::PRICE_NAMES};

/// One deployment.
#[derive(Debug, Clone)]
pub struct ModelEntry {
    /// The group: the name clients send. May hold `*`.
    pub model_name: String,
    /// Where calls go and with what.
    pub params: LitellmParams,
    /// Facts about the model.
    pub info: ModelInfo,
    /// Requests a minute: from `litellm_params`, else from the entry itself.
    pub rpm: Option<u64>,
    /// Tokens a minute: from `litellm_params`, else from the entry itself.
    pub tpm: Option<u64>,
    /// The deployment id: `model_info.id`, or 64 hex digits that survive a change of keys.
    pub id: String,
    /// Why it cannot be served, if it cannot.
    pub unservable: Option<String>,
    /// Where the entry begins.
    pub at: Location,
}

/// Facts about the model of a deployment.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "LiteLLM's own names; docs/reference/config.md says what each means")]
pub struct ModelInfo {
    pub id: Option<String>,
    pub base_model: Option<String>,
    pub mode: Option<String>,
    pub litellm_provider: Option<String>,
    pub max_tokens: Option<u64>,
    pub max_input_tokens: Option<u64>,
    pub max_output_tokens: Option<u64>,
    /// `supports_*`, with the prefix.
    pub supports: Vec<(String, bool)>,
    pub allowed_fails: Option<u64>,
    /// By name: `RateLimitErrorAllowedFails`.
    pub allowed_fails_policy: Vec<(String, u64)>,
    pub cooldown_time: Option<Duration>,
    pub health: ModelHealth,
    pub access_groups: Vec<String>,
    pub team_id: Option<String>,
    pub team_public_model_name: Option<String>,
    /// Price overrides by their own names, USD.
    pub prices: Map<String, Json>,
    /// Everything that is not one of the fields above, in order: shown by `/model/info`.
    pub rest: Map<String, Json>,
    /// All that was given, in order.
    pub given: Map<String, Json>,
}

impl ModelInfo {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        const TYPED: &[&str] = &[
            "id",
            "base_model",
            "mode",
            "litellm_provider",
            "max_tokens",
            "max_input_tokens",
            "max_output_tokens",
            "access_groups",
            "team_id",
            "team_public_model_name",
        ];
        let price = |name: &str| PRICE_NAMES.iter().any(|names| names.hold(name));
        let supported = fields.collect(|name| name.starts_with("supports_"));
        Self {
            id: fields.text("id").filter(|id| !id.is_empty()),
            base_model: fields.text("base_model"),
            mode: fields.text("mode"),
            litellm_provider: fields.text("litellm_provider"),
            max_tokens: fields.whole("max_tokens"),
            max_input_tokens: fields.whole("max_input_tokens"),
            max_output_tokens: fields.whole("max_output_tokens"),
            supports: supported.into_iter().filter_map(|(name, _)| Some((name.clone(), fields.flag(&name)?))).collect(),
            allowed_fails: fields.whole("allowed_fails"),
            allowed_fails_policy: fields.counts("allowed_fails_policy"),
            cooldown_time: fields.duration("cooldown_time"),
            health: ModelHealth::read(fields),
            access_groups: fields.texts("access_groups"),
            team_id: fields.text("team_id"),
            team_public_model_name: fields.text("team_public_model_name"),
            prices: fields.collect(price),
            rest: fields.collect(|name| !TYPED.contains(&name) && !price(name) && !name.starts_with("supports_")),
            given: fields.collect(|_| true),
        }
    }
}

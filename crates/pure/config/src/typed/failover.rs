//! Fallbacks and rests, as `litellm_settings` and `router_settings` both have them.

use std::time::Duration;

use serde_json::Value as Json;

use crate::fields::Fields;

/// Who answers when a group does not, and when a deployment rests.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "LiteLLM's own names; docs/reference/config.md says what each means")]
pub struct Failover {
    /// Each of the lists as it is written: `[{group: [groups]}]`.
    pub fallbacks: Option<Json>,
    pub context_window_fallbacks: Option<Json>,
    pub content_policy_fallbacks: Option<Json>,
    pub default_fallbacks: Vec<String>,
    pub max_fallbacks: Option<u64>,
    pub allowed_fails: Option<u64>,
    pub cooldown_time: Option<Duration>,
}

impl Failover {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        Self {
            fallbacks: fields.json("fallbacks"),
            context_window_fallbacks: fields.json("context_window_fallbacks"),
            content_policy_fallbacks: fields.json("content_policy_fallbacks"),
            default_fallbacks: fields.texts("default_fallbacks"),
            max_fallbacks: fields.whole("max_fallbacks"),
            allowed_fails: fields.whole("allowed_fails"),
            cooldown_time: fields.duration("cooldown_time"),
        }
    }
}

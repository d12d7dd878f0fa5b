//! Health checks: when deployments are looked at, and what a look is.

use std::time::Duration;

use crate::fields::Fields;

/// How the gateway looks at its deployments.
#[derive(Debug, Clone, Default)]
pub struct HealthChecks {
    /// `background_health_checks`.
    pub background: bool,
    /// `health_check_interval`.
    pub interval: Option<Duration>,
    /// `health_check_details`: `/health` says more than the model.
    pub details: Option<bool>,
    /// `health_check_concurrency`.
    pub at_once: Option<u64>,
    /// `health_check_probe: generate`: a look is a real call.
    pub generates: bool,
    /// `background_health_check_model_groups`; empty: all.
    pub groups: Vec<String>,
    /// `enable_health_check_routing`.
    pub routes: bool,
    /// `health_check_staleness_threshold`.
    pub staleness: Option<Duration>,
    /// `health_check_ignore_transient_errors`.
    pub ignores_transient: bool,
    /// `kept_health_checks`.
    pub kept: Option<u64>,
}

impl HealthChecks {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        Self {
            background: fields.is_on("background_health_checks"),
            interval: fields.duration("health_check_interval"),
            details: fields.flag("health_check_details"),
            at_once: fields.whole("health_check_concurrency"),
            generates: fields.text("health_check_probe").as_deref() == Some("generate"),
            groups: fields.texts("background_health_check_model_groups"),
            routes: fields.is_on("enable_health_check_routing"),
            staleness: fields.duration("health_check_staleness_threshold"),
            ignores_transient: fields.is_on("health_check_ignore_transient_errors"),
            kept: fields.whole("kept_health_checks"),
        }
    }
}

/// What `model_info` says about looking at one deployment.
#[derive(Debug, Clone, Default)]
pub struct ModelHealth {
    /// `disable_background_health_check`.
    pub disabled: bool,
    /// `health_check_model`.
    pub model: Option<String>,
    /// `health_check_timeout`.
    pub timeout: Option<Duration>,
    /// `health_check_max_tokens`.
    pub max_tokens: Option<u64>,
    /// `health_check_supports_max_tokens`; unless said otherwise it does.
    pub says_max_tokens: Option<bool>,
    /// `health_check_voice`.
    pub voice: Option<String>,
}

impl ModelHealth {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        Self {
            disabled: fields.is_on("disable_background_health_check"),
            model: fields.text("health_check_model").filter(|model| !model.is_empty()),
            timeout: fields.duration("health_check_timeout"),
            max_tokens: fields.whole("health_check_max_tokens"),
            says_max_tokens: fields.flag("health_check_supports_max_tokens"),
            voice: fields.text("health_check_voice"),
        }
    }
}

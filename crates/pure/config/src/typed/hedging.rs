//! `router_settings.hedging`.

use std::time::Duration;

use crate::fields::Fields;

/// A second attempt beside one that says nothing.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "docs/reference/config.md says what each means")]
pub struct HedgingSettings {
    pub enabled: bool,
    pub after: Option<Duration>,
    pub min_delay: Option<Duration>,
    pub max_share: Option<f64>,
    pub model_groups: Vec<String>,
}

impl HedgingSettings {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        Self {
            enabled: fields.is_on("enabled"),
            after: fields.duration("after"),
            min_delay: fields.duration("min_delay"),
            max_share: fields.number("max_share"),
            model_groups: fields.texts("model_groups"),
        }
    }
}

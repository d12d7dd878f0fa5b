//! `router_settings.continuation`.

use crate::fields::Fields;

/// What a stream that breaks after content goes on with.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "docs/reference/config.md says what each means")]
pub struct ContinuationSettings {
    pub enabled: bool,
    pub max_continuations: Option<u64>,
    pub max_kept_bytes: Option<u64>,
}

impl ContinuationSettings {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        Self {
            enabled: fields.is_on("enabled"),
            max_continuations: fields.whole("max_continuations"),
            max_kept_bytes: fields.whole("max_kept_bytes"),
        }
    }
}

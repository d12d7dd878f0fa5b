//! OVHcloud AI Endpoints.

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "ovhcloud",
    title: "Ovhcloud",
    base_url: "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
    base_env: &["OVHCLOUD_API_BASE"],
    key_env: &["OVHCLOUD_API_KEY"],
    quirks: Quirks { says_stream_false: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

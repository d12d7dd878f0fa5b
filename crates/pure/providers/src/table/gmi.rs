//! GMI Cloud.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "gmi",
    title: "Gmi",
    base_url: "https://api.gmi-serving.com/v1",
    key_env: &["GMI_API_KEY"],
    ..OPENAI_COMPATIBLE
};

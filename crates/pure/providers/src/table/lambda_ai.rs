//! Lambda.

use crate::{
    dialects::openai,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "lambda_ai",
    title: "Lambda_ai",
    base_url: "https://api.lambda.ai/v1",
    base_env: &["LAMBDA_API_BASE"],
    key_env: &["LAMBDA_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

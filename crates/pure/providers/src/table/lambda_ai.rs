//! Lambda.

use crate::{dialects::openai, provider::{OPENAI_COMPATIBLE, Provider}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "lambda_ai",
    title: "Lambda_ai",
    base_url: "https://api.lambda.ai/v1",
    base_env: &["LAMBDA_API_BASE"],
    key_env: &["LAMBDA_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};

//! ModelScope.

use crate::{dialects::openai, provider::{OPENAI_COMPATIBLE, Provider}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "modelscope",
    title: "Modelscope",
    base_url: "https://api-inference.modelscope.cn/v1",
    base_env: &["MODELSCOPE_API_BASE"],
    key_env: &["MODELSCOPE_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};

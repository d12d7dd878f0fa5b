//! Jina's embeddings.

use serde_json::{Value, json};
use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::{openai::messages, rerank},
    params::CallParams,
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "jina_ai",
    title: "Jina_ai",
    base_url: "https://api.jina.ai/v1",
    base_env: &["JINA_AI_API_BASE"],
    key_env: &["JINA_AI_API_KEY", "JINA_API_KEY", "JINA_AI_TOKEN"],
    chat: None,
    quirks: Quirks { vectors_take: Some(&["dimensions"]), supported: Supported::Only(&[]), request: Some(as_list), notes: &["a single `input` becomes a list", "`data:` URLs of pictures become Jina's own form"], ..Quirks::NONE },
    rerank: Some(&rerank::JINA),
    ..OPENAI_COMPATIBLE
};

fn as_list(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    messages::list_input(body);
    let Some(mut items) = body.typed::<Vec<Value>>("input") else { return Ok(()) };
    if !items.iter().any(|item| picture(item).is_some()) {
        return Ok(());
    }
    for item in &mut items {
        let said = match (picture(item), item.as_str()) {
            (Some(data), _) => json!({ "image": data }),
            (None, Some(text)) => json!({ "text": text }),
            _ => continue,
        };
        *item = said;
    }
    body.set("input", &items.into());
    Ok(())
}

/// The base64 of a picture that is written as a `data:` URL.
fn picture(item: &Value) -> Option<&str> {
    Some(item.as_str()?.strip_prefix("data:image/")?.split_once(";base64,")?.1)
}

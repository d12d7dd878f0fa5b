//! How `OpenAI`'s clients ask for pictures of providers that speak otherwise, and what they get.

use serde_json::{Value, json};
use tollgate_wire::{
    Failure, RawBody,
    images::{ImageRequest, ImageResponse},
};

use crate::{
    codec::AnswerContext,
    errand::{answered, members},
    translate::Answered,
};

/// The client's request.
///
/// # Errors
/// When the prompt is no text.
pub fn read(body: &RawBody) -> Result<ImageRequest, Failure> {
    let mut members = body.to_map();
    let Some(Value::String(prompt)) = members.shift_remove("prompt") else {
        return Err(Failure::invalid("`prompt` must be text").with_param("prompt"));
    };
    members.shift_remove("model");
    let n = members.shift_remove("n").and_then(|n| n.as_u64());
    let size = members.shift_remove("size").and_then(|size| size.as_str().map(str::to_owned));
    Ok(ImageRequest { prompt, n, size, extras: members })
}

/// The pictures in `OpenAI`'s shape.
#[must_use]
pub fn write(told: &ImageResponse, _ask: &ImageRequest, context: &AnswerContext) -> Answered {
    let data: Vec<Value> = told
        .images
        .iter()
        .map(|image| json!({"b64_json": image.base64, "url": image.url, "revised_prompt": image.revised_prompt}))
        .collect();
    let mut body = members(json!({"created": context.now, "data": data}));
    if let Some(usage) = told.usage {
        body.insert(
            "usage".to_owned(),
            json!({"input_tokens": usage.input, "output_tokens": usage.output, "total_tokens": usage.total()}),
        );
    }
    body.extend(told.extras.clone());
    answered(&body.into(), told.usage)
}

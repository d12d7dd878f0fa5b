//! Pictures: Imagen's predictions, and Gemini models that draw in an answer.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    http::{Outgoing, Reply},
    images::{Image, ImageRequest, ImageResponse},
};

use super::{failure::error_of, failure::in_band, generation, response::parts, url, usage::Counts};
use crate::{codec::Codec, target::Target};

/// Pictures out of words.
pub static DRAW: Draw = Draw;

/// See [`DRAW`].
#[derive(Debug)]
pub struct Draw;

/// `OpenAI`'s sizes in Google's proportions.
const PROPORTIONS: [(&str, &str); 8] = [
    ("1024x1024", "1:1"),
    ("512x512", "1:1"),
    ("256x256", "1:1"),
    ("1792x1024", "16:9"),
    ("1024x1792", "9:16"),
    ("1280x896", "4:3"),
    ("896x1280", "3:4"),
    ("1536x1024", "3:2"),
];

fn proportion(size: Option<&str>) -> Option<Value> {
    let size = size.filter(|size| *size != "auto")?;
    if size.contains(':') {
        return Some(size.into());
    }
    PROPORTIONS.iter().find_map(|(known, proportion)| (*known == size).then(|| (*proportion).into()))
}

/// What `OpenAI`'s clients say that Google has no word for.
const UNSAID: &[&str] = &["response_format", "quality", "style", "user", "background", "moderation", "output_format"];

fn imagen(ask: &ImageRequest) -> Value {
    let mut parameters = Map::from_iter([("sampleCount".to_owned(), ask.n.unwrap_or(1).into())]);
    if let Some(proportion) = proportion(ask.size.as_deref()) {
        parameters.insert("aspectRatio".to_owned(), proportion);
    }
    let own = ask.extras.iter().filter(|(name, value)| !value.is_null() && !UNSAID.contains(&name.as_str()));
    parameters.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    json!({"instances": [{"prompt": ask.prompt}], "parameters": parameters})
}

fn content(ask: &ImageRequest) -> Value {
    let mut settings = json!({"responseModalities": ["IMAGE", "TEXT"]});
    if let (Some(settings), Some(proportion)) = (settings.as_object_mut(), proportion(ask.size.as_deref())) {
        settings.insert("imageConfig".to_owned(), json!({ "aspectRatio": proportion }));
    }
    json!({"contents": [{"role": "user", "parts": [{"text": ask.prompt}]}], "generationConfig": settings})
}

fn is_gemini(target: &Target) -> bool {
    generation(&target.model).is_some()
}

impl Codec<ImageRequest, ImageResponse> for Draw {
    fn requests(&self, ask: &ImageRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let (method, body) =
            if is_gemini(target) { ("generateContent", content(ask)) } else { ("predict", imagen(ask)) };
        let (url, headers) = (url(target, method), target.request_headers()?);
        Ok(vec![Outgoing { method: Method::POST, url, headers, body: body.to_string().into() }])
    }

    fn response(&self, replies: &[Reply], _ask: &ImageRequest, target: &Target) -> Result<ImageResponse, Failure> {
        let invalid = |words: String| target.failure(FailureKind::InvalidResponse, words);
        let reply = replies.first().ok_or_else(|| invalid("there is no answer".to_owned()))?;
        let body: Value =
            serde_json::from_slice(&reply.body).map_err(|error| invalid(format!("the answer is no JSON: {error}")))?;
        if let Some(error) = error_of(&body) {
            return Err(in_band(error, target));
        }
        let predicted = body.get("predictions").and_then(Value::as_array).into_iter().flatten();
        let predicted = predicted.filter_map(|one| Some((one.get("bytesBase64Encoded")?, one.get("prompt"))));
        let candidates = body.get("candidates").and_then(Value::as_array).into_iter().flatten();
        let drawn = candidates.flat_map(parts).filter_map(|part| Some((part.get("inlineData")?.get("data")?, None)));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let images: Vec<Image> = predicted
            .chain(drawn)
            .map(|(data, prompt)| Image { base64: text(data), url: None, revised_prompt: prompt.and_then(text) })
            .collect();
        if images.is_empty() {
            // Google leaves out what its filters took away.
            return Err(target.failure(FailureKind::ContentPolicyViolation, "no picture was made"));
        }
        let usage = body.get("usageMetadata").map(|counts| Counts(counts).usage());
        Ok(ImageResponse { images, usage, ..ImageResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        super::failure(reply, target)
    }
}

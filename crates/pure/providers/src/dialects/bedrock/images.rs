//! Pictures: Amazon's Titan and Nova Canvas share one body; Stability has an old and a new one.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    http::{Outgoing, Reply},
    images::{Image, ImageRequest, ImageResponse},
};

use super::{invoke::plain_segment, json, names, outgoing};
use crate::{codec::Codec, dialects::aws, target::Target};

/// The codec.
pub static IMAGES: Images = Images;

/// See [`IMAGES`].
#[derive(Debug)]
pub struct Images;

/// Parameters of `OpenAI`'s that say nothing here.
const UNSAID: &[&str] =
    &["response_format", "user", "style", "model_id", "quality", "background", "moderation", "output_compression"];
/// Proportions that Stability's newer models draw in.
const PROPORTIONS: &[(&str, &str)] =
    &[("1024x1024", "1:1"), ("1536x1024", "3:2"), ("1024x1536", "2:3"), ("1792x1024", "16:9"), ("1024x1792", "9:16")];

impl Codec<ImageRequest, ImageResponse> for Images {
    fn requests(&self, ask: &ImageRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let base = names::base(target);
        let body = if base.starts_with("stability.stable-diffusion") {
            old_stability(ask)?
        } else if base.starts_with("stability.") {
            stability(ask)
        } else {
            amazon(ask)?
        };
        Ok(vec![outgoing(target, &plain_segment(target), "invoke", &body)?])
    }

    fn response(&self, replies: &[Reply], _ask: &ImageRequest, target: &Target) -> Result<ImageResponse, Failure> {
        let mut told = ImageResponse::default();
        for reply in replies {
            let body = json(reply, target)?;
            if let Some(error) = body.get("error").and_then(Value::as_str) {
                return Err(target.failure(FailureKind::BadRequest, error));
            }
            let list = |name: &str| body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            let old = list("artifacts").into_iter().filter_map(|artifact| artifact.get("base64").cloned());
            let pictures = list("images").into_iter().chain(old).filter_map(|data| data.as_str().map(str::to_owned));
            told.images.extend(pictures.map(|data| Image { base64: Some(data), ..Image::default() }));
            let filtered = list("finish_reasons").iter().find_map(|reason| reason.as_str().map(str::to_owned));
            if let (true, Some(why)) = (told.images.is_empty(), filtered) {
                return Err(target.failure(FailureKind::ContentPolicyViolation, why));
            }
        }
        if told.images.is_empty() {
            return Err(target.failure(FailureKind::InvalidResponse, "the answer has no pictures"));
        }
        Ok(told)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

/// Width and height of `512x768`.
fn pixels(ask: &ImageRequest) -> Result<Option<(u64, u64)>, Failure> {
    let Some(size) = ask.size.as_deref().filter(|size| *size != "auto") else { return Ok(None) };
    let both = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    both.map(Some).ok_or_else(|| Failure::invalid("`size` must be <width>x<height>").with_param("size"))
}

fn own(ask: &ImageRequest) -> impl Iterator<Item = (String, Value)> + '_ {
    let given = ask
        .extras
        .iter()
        .filter(|(name, value)| !value.is_null() && !UNSAID.contains(&name.as_str()) && !name.starts_with("aws_"));
    given.map(|(name, value)| (name.clone(), value.clone()))
}

/// Members that stand beside the task in Amazon's body; all others are the generation's own.
const TASKS: &[&str] = &["taskType", "textToImageParams", "colorGuidedGenerationParams", "imageGenerationConfig"];

fn amazon(ask: &ImageRequest) -> Result<Map<String, Value>, Failure> {
    let mut text = Map::from_iter([("text".to_owned(), Value::from(ask.prompt.as_str()))]);
    let mut config = Map::new();
    if let Some(n) = ask.n {
        config.insert("numberOfImages".to_owned(), n.into());
    }
    if let Some((width, height)) = pixels(ask)? {
        config.insert("width".to_owned(), width.into());
        config.insert("height".to_owned(), height.into());
    }
    if let Some(quality) = ask.extras.get("quality").and_then(Value::as_str) {
        let premium = matches!(quality, "hd" | "high" | "premium");
        config.insert("quality".to_owned(), if premium { "premium" } else { "standard" }.into());
    }
    let mut out = Map::new();
    out.insert("taskType".to_owned(), "TEXT_IMAGE".into());
    let mut tasks = Map::new();
    for (name, value) in own(ask) {
        if name == "negativeText" {
            text.insert(name, value);
        } else if TASKS.contains(&name.as_str()) {
            tasks.insert(name, value);
        } else {
            config.insert(name, value);
        }
    }
    out.insert("textToImageParams".to_owned(), text.into());
    out.insert("imageGenerationConfig".to_owned(), config.into());
    out.extend(tasks);
    Ok(out)
}

fn stability(ask: &ImageRequest) -> Map<String, Value> {
    let mut out = Map::from_iter([("prompt".to_owned(), Value::from(ask.prompt.as_str()))]);
    let wanted = ask.size.as_deref();
    if let Some((_, proportion)) = PROPORTIONS.iter().find(|(size, _)| Some(*size) == wanted) {
        out.insert("aspect_ratio".to_owned(), (*proportion).into());
    }
    out.extend(own(ask));
    out
}

fn old_stability(ask: &ImageRequest) -> Result<Map<String, Value>, Failure> {
    let mut out = Map::new();
    out.insert("text_prompts".to_owned(), json!([{"text": ask.prompt, "weight": 1}]));
    if let Some((width, height)) = pixels(ask)? {
        out.insert("width".to_owned(), width.into());
        out.insert("height".to_owned(), height.into());
    }
    out.extend(own(ask));
    Ok(out)
}

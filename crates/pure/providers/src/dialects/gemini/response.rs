//! Gemini's whole answers, and what they share with the pieces of a stream.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatResponse, Choice, Extras, Finish, Part, ToolCall},
};

use super::{
    failure::{error_of, in_band},
    usage::Counts,
};
use crate::target::Target;

/// Reads an answer with status below 400.
///
/// # Errors
/// When it is not an answer, or holds an error.
pub(super) fn read(body: &[u8], target: &Target) -> Result<ChatResponse, Failure> {
    let invalid = |text: String| target.failure(FailureKind::InvalidResponse, text);
    let body: Value =
        serde_json::from_slice(body).map_err(|error| invalid(format!("the answer is no JSON: {error}")))?;
    if let Some(error) = error_of(&body) {
        return Err(in_band(error, target));
    }
    let candidates = body.get("candidates").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let counts = body.get("usageMetadata").map(Counts);
    let usage = counts.map(|counts| counts.with(searches(candidates)));
    let model = text(&body, "modelVersion").to_owned();
    if is_blocked(&body) || candidates.iter().any(|candidate| is_flagged(text(candidate, "finishReason"))) {
        return Ok(ChatResponse { model, choices: vec![silent()], usage, ..ChatResponse::default() });
    }
    if candidates.is_empty() {
        return Err(invalid("the answer has no candidates".to_owned()));
    }
    let id = text(&body, "responseId");
    let choices = candidates.iter().enumerate().map(|(place, candidate)| choice(candidate, place, id)).collect();
    Ok(ChatResponse {
        id: id.to_owned(),
        model,
        created: None,
        choices,
        usage,
        usage_extras: counts.map(|counts| counts.extras(searches(candidates), false)).unwrap_or_default(),
        extras: metadata(candidates),
    })
}

/// Words that Google took back.
const FLAGS: &[&str] =
    &["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"];

pub(super) fn is_flagged(reason: &str) -> bool {
    FLAGS.contains(&reason)
}

/// The prompt was refused before there was an answer.
pub(super) fn is_blocked(body: &Value) -> bool {
    body.get("promptFeedback").and_then(|feedback| feedback.get("blockReason")).is_some()
}

fn silent() -> Choice {
    Choice {
        index: 0,
        parts: Vec::new(),
        finish: Finish::ContentFilter,
        native_finish: None,
        extras: Extras::new(),
        message_extras: Extras::new(),
    }
}

/// Google's reasons in our words.
pub(super) fn finish(reason: &str, calls: bool) -> Finish {
    match reason {
        _ if calls => Finish::ToolCalls,
        "MAX_TOKENS" => Finish::Length,
        "OTHER" | "LANGUAGE" => Finish::ContentFilter,
        flagged if is_flagged(flagged) => Finish::ContentFilter,
        _ => Finish::Stop,
    }
}

fn choice(candidate: &Value, place: usize, id: &str) -> Choice {
    let index = candidate.get("index").and_then(Value::as_u64).unwrap_or(place as u64);
    let mut message = Message::default();
    for part in parts(candidate) {
        message.part(part, index, id);
    }
    let reason = text(candidate, "finishReason");
    let mut extras = Extras::new();
    if let Some(probabilities) = candidate.get("logprobsResult").and_then(logprobs) {
        extras.insert("logprobs".to_owned(), probabilities);
    }
    let notes = annotations(candidate);
    if !notes.is_empty() {
        message.extras.insert("annotations".to_owned(), notes.into());
    }
    Choice {
        index,
        finish: finish(reason, message.calls > 0),
        native_finish: (!reason.is_empty()).then(|| reason.to_owned()),
        extras,
        message_extras: message.members(),
        parts: message.parts,
    }
}

/// The parts of a candidate.
pub(super) fn parts(candidate: &Value) -> impl Iterator<Item = &Value> {
    candidate.get("content").and_then(|content| content.get("parts")).and_then(Value::as_array).into_iter().flatten()
}

/// A message that is being read.
#[derive(Default)]
struct Message {
    parts: Vec<Part>,
    calls: u64,
    thoughts: Vec<Value>,
    seals: Vec<Value>,
    images: Vec<Value>,
    extras: Extras,
}

impl Message {
    fn part(&mut self, part: &Value, choice: u64, id: &str) {
        let seal = part.get("thoughtSignature").and_then(Value::as_str);
        self.seals.extend(seal.map(Value::from));
        if let Some(call) = part.get("functionCall") {
            let call = read_call(call, seal, (choice, self.calls), id);
            self.calls += 1;
            self.parts.push(Part::ToolCall(call));
        } else if let Some(words) = part.get("text").and_then(Value::as_str) {
            self.words(words, part, seal);
        } else if let Some(held) = part.get("inlineData") {
            match Held::of(held) {
                Held::Image(image) => self.images.push(image),
                Held::Sound(sound) => {
                    self.extras.insert("audio".to_owned(), sound);
                }
                Held::Other(words) => self.parts.push(Part::text(words)),
            }
        } else if let Some(code) = code(part) {
            self.parts.push(Part::text(code));
        }
    }

    fn words(&mut self, words: &str, part: &Value, seal: Option<&str>) {
        if part.get("thought") != Some(&Value::Bool(true)) {
            // A part that carries nothing but a seal says nothing.
            if !(words.is_empty() && seal.is_some()) {
                self.parts.push(Part::text(words));
            }
            return;
        }
        let mut block = json!({"type": "thinking", "thinking": words});
        if let (Some(block), Some(seal)) = (block.as_object_mut(), seal) {
            block.insert("signature".to_owned(), seal.into());
        }
        self.thoughts.push(block);
        self.parts.push(Part::Thinking { text: words.to_owned(), signature: seal.map(str::to_owned) });
    }

    /// What clients see of the message beside its parts.
    fn members(&mut self) -> Extras {
        let mut out = std::mem::take(&mut self.extras);
        if !self.images.is_empty() {
            out.insert("images".to_owned(), std::mem::take(&mut self.images).into());
        }
        if !self.thoughts.is_empty() {
            out.insert("thinking_blocks".to_owned(), std::mem::take(&mut self.thoughts).into());
        }
        if !self.seals.is_empty() {
            let seals = std::mem::take(&mut self.seals);
            out.insert("provider_specific_fields".to_owned(), json!({ "thought_signatures": seals }));
        }
        out
    }
}

/// What a model made beside words.
pub(super) enum Held {
    Image(Value),
    Sound(Value),
    /// As a `data:` address.
    Other(String),
}

impl Held {
    pub(super) fn of(held: &Value) -> Self {
        let (kind, data) = (text(held, "mimeType"), text(held, "data"));
        if kind.starts_with("audio/") {
            return Self::Sound(json!({"data": data, "transcript": ""}));
        }
        let address = format!("data:{kind};base64,{data}");
        if !kind.starts_with("image/") {
            return Self::Other(address);
        }
        let image = json!({"image_url": {"url": address, "detail": "auto"}, "index": 0, "type": "image_url"});
        Self::Image(image)
    }
}

/// Code that the model ran, and what came of it, as the words that they are.
pub(super) fn code(part: &Value) -> Option<String> {
    if let Some(code) = part.get("executableCode") {
        let language = text(code, "language").to_ascii_lowercase();
        return Some(format!("\n```{language}\n{}\n```\n", text(code, "code").trim_end()));
    }
    let result = part.get("codeExecutionResult")?;
    Some(format!("\n```output\n{}\n```\n", text(result, "output").trim_end()))
}

/// A call of a tool; `at` is its choice and its place among the choice's calls. Models that give no id get one that is
/// theirs alone within the answer, and the same however often the answer is read.
pub(super) fn read_call(call: &Value, seal: Option<&str>, at: (u64, u64), answer: &str) -> ToolCall {
    let name = text(call, "name").to_owned();
    let arguments = call.get("args").filter(|args| !args.is_null()).map_or_else(|| "{}".to_owned(), Value::to_string);
    let given = text(call, "id");
    let id = if given.is_empty() { made_id(answer, at, &name, &arguments) } else { given.to_owned() };
    let mut extras = Map::from_iter([("index".to_owned(), at.1.into())]);
    if let Some(seal) = seal {
        extras.insert("provider_specific_fields".to_owned(), json!({ "thought_signature": seal }));
    }
    ToolCall { id, name, arguments, extras }
}

fn made_id(answer: &str, at: (u64, u64), name: &str, arguments: &str) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, answer, at, name, arguments).hash(&mut hasher);
        hasher.finish()
    };
    format!("call_{:016x}{:012x}", half(0), half(1) >> 16)
}

/// How likely the words were.
pub(super) fn logprobs(result: &Value) -> Option<Value> {
    let chosen = result.get("chosenCandidates")?.as_array()?;
    let tops = result.get("topCandidates").and_then(Value::as_array);
    let one = |candidate: &Value| json!({"token": candidate.get("token"), "logprob": candidate.get("logProbability")});
    let content = chosen.iter().enumerate().map(|(place, candidate)| {
        let top = tops.and_then(|tops| tops.get(place)?.get("candidates")?.as_array());
        let top: Vec<Value> = top.into_iter().flatten().map(one).collect();
        let mut token = one(candidate);
        if let Some(token) = token.as_object_mut() {
            token.insert("top_logprobs".to_owned(), top.into());
        }
        token
    });
    Some(json!({"content": content.collect::<Vec<_>>()}))
}

/// What was found on the web, as `OpenAI` cites it.
pub(super) fn annotations(candidate: &Value) -> Vec<Value> {
    let Some(grounding) = candidate.get("groundingMetadata") else { return Vec::new() };
    let list = |name: &str| grounding.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let chunks = list("groundingChunks");
    let mut out = Vec::new();
    for support in list("groundingSupports") {
        let segment = support.get("segment");
        let bound = |name: &str| segment.and_then(|segment| segment.get(name)?.as_u64()).unwrap_or_default();
        let places = support.get("groundingChunkIndices").and_then(Value::as_array).into_iter().flatten();
        let places = places.filter_map(|place| usize::try_from(place.as_u64()?).ok());
        for web in places.filter_map(|place| chunks.get(place)?.get("web")) {
            out.push(json!({"type": "url_citation", "url_citation": {"start_index": bound("startIndex"),
                "end_index": bound("endIndex"), "title": text(web, "title"), "url": text(web, "uri")}}));
        }
    }
    out
}

/// How many searches were made.
pub(super) fn searches(candidates: &[Value]) -> Option<u64> {
    let queries = candidates.iter().filter_map(|candidate| candidate.get("groundingMetadata")?.get("webSearchQueries"));
    let made: usize = queries.filter_map(Value::as_array).map(Vec::len).sum();
    (made > 0).then_some(made as u64)
}

/// What Google says of each candidate, and under which of `LiteLLM`'s members it is told.
const METADATA: [(&str, &str); 4] = [
    ("groundingMetadata", "vertex_ai_grounding_metadata"),
    ("urlContextMetadata", "vertex_ai_url_context_metadata"),
    ("safetyRatings", "vertex_ai_safety_results"),
    ("citationMetadata", "vertex_ai_citation_metadata"),
];

/// What Google says of the candidates beside their content.
pub(super) fn metadata(candidates: &[Value]) -> Extras {
    let mut out = Extras::new();
    for (google, told) in METADATA {
        let said: Vec<Value> = candidates.iter().filter_map(|candidate| candidate.get(google).cloned()).collect();
        if !said.is_empty() {
            out.insert(told.to_owned(), said.into());
        }
    }
    out
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

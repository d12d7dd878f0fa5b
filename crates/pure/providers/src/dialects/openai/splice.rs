//! The same-dialect lane: an `OpenAI` client before an `OpenAI` server. Bodies are spliced, not rebuilt; members that
//! nobody knows survive both ways.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tollgate_wire::{Failure, FailureKind, RawBody, Usage, framing::sse::SseFramer, http::Reply};

use super::{json_tool, merge, mould::Mould, normalise, plain, plain::Seen, usage, writer};
use crate::{codec::AnswerContext, provider::Asked, target::Target, translate::Progress};

/// A whole answer under the client's name for the model, and what it used.
///
/// # Errors
/// `InvalidResponse` when a 200 does not carry an answer.
pub fn answer(
    reply: &Reply,
    target: &Target,
    context: &AnswerContext,
    asked: Asked,
) -> Result<(Bytes, Option<Usage>), Failure> {
    let mut body = read(&reply.body, target)?;
    if let Some(hook) = target.provider.quirks.answer {
        hook(&mut body, asked);
    }
    let merges = target.params.merge_reasoning;
    let plain = !asked.json_tool && !merges && body.get("choices").is_some_and(|raw| plain::look(raw).is_some());
    if !plain && let Some(mut choices) = body.typed::<Vec<Value>>("choices") {
        let unwrapped = asked.json_tool && json_tool::unwrap(&mut choices);
        let normalised = normalise::choices(&mut choices);
        let merged = merges && merge::whole(&mut choices);
        if unwrapped || normalised || merged {
            body.set("choices", &choices.into());
        }
    }
    if let Some(hook) = target.provider.quirks.answer_last {
        hook(&mut body, asked);
    }
    body.set_str("model", &context.alias);
    let used = body.get("usage").and_then(|raw| usage::read(raw));
    Ok((body.to_bytes(), used))
}

fn read(bytes: &Bytes, target: &Target) -> Result<RawBody, Failure> {
    let body = RawBody::parse(bytes).ok().filter(|body| body.has("choices") || body.has("data"));
    if let Some(body) = body {
        return Ok(body);
    }
    // Some servers answer 200 with an error object.
    if let Some(error) = RawBody::parse(bytes).ok().and_then(|body| body.typed::<Value>("error")) {
        return Err(in_band(&error, target));
    }
    let start: String = String::from_utf8_lossy(bytes).chars().take(200).collect();
    let words = format!(
        "Empty or invalid response from LLM endpoint. Received: '{start}'. Check the reverse proxy or model server \
         configuration."
    );
    Err(target.failure(FailureKind::InvalidResponse, words))
}

/// An error object where an answer was due.
pub(super) fn in_band(error: &Value, target: &Target) -> Failure {
    let message =
        error.get("message").and_then(Value::as_str).or_else(|| error.as_str()).unwrap_or("the stream failed");
    let words = target.provider.quirks.in_band.map(|words| words(message, error));
    let message = words.as_deref().unwrap_or(message);
    let code = error.get("code").and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
    let status = code.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
    let status = status.or_else(|| error.get("code").and_then(Value::as_str).and_then(status_of_word));
    let mut failure = match status.and_then(|status| http::StatusCode::from_u16(status).ok()) {
        Some(status) => target.failure(super::failure::kind_of(status, message, ""), message),
        None => target.failure(FailureKind::Internal, message),
    };
    failure.status = status;
    failure
}

/// The status that goes with an error's code, where that is a word.
fn status_of_word(code: &str) -> Option<u16> {
    match code {
        "rate_limit_exceeded" | "rate_limit_error" | "insufficient_quota" => Some(429),
        "invalid_api_key" => Some(401),
        "model_not_found" => Some(404),
        _ => None,
    }
}

/// A streamed answer on its way through.
pub struct SplicedStream {
    framer: SseFramer,
    /// What the chunks so far had in common.
    mould: Option<Mould>,
    target: std::sync::Arc<Target>,
    context: AnswerContext,
    /// The client's name for the model, as JSON.
    model: Bytes,
    head: Head,
    /// The last usage object as the provider wrote it.
    usage: Option<Map<String, Value>>,
    progress: Progress,
    /// Choices that began, and whether they ended.
    open: Vec<(u64, bool)>,
    text: bool,
    asked: Asked,
    json_tool: json_tool::Unwrapper,
    merger: merge::Merger,
    /// The type of an error that came in the stream, as the provider wrote it.
    error_type: Option<Value>,
    /// Words that nobody has asked for yet.
    said: String,
}

/// What the chunks that we add ourselves repeat of the provider's.
#[derive(Default)]
struct Head {
    id: Option<Bytes>,
    created: Option<Bytes>,
}

impl SplicedStream {
    /// A stream of chat chunks, or of text completion chunks when `text`.
    #[must_use]
    pub fn new(target: std::sync::Arc<Target>, context: AnswerContext, limit: usize, text: bool, asked: Asked) -> Self {
        Self {
            framer: SseFramer::new(limit),
            mould: None,
            target,
            model: tollgate_wire::raw_body::quoted(&context.alias),
            context,
            head: Head::default(),
            usage: None,
            progress: Progress::default(),
            open: Vec::new(),
            text,
            asked,
            json_tool: json_tool::Unwrapper::default(),
            merger: merge::Merger::default(),
            error_type: None,
            said: String::new(),
        }
    }

    /// How far the stream is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The words since the last [`Self::forget_said`].
    #[must_use]
    pub fn said(&self) -> &str {
        &self.said
    }

    /// The words so far have been heard.
    pub fn forget_said(&mut self) {
        self.said.clear();
    }

    /// Takes a count of our own, for a client that asked for usage.
    pub fn counted(&mut self, usage: Usage) {
        self.progress.usage = Some(usage);
        self.usage = Some(usage::write(&usage));
    }

    /// Takes the next bytes; whole events for the client are appended to `out`.
    ///
    /// # Errors
    /// When the provider reports a failure in the stream, or an event is too large or no JSON.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let pushed = self.framer.push(bytes);
        pushed.map_err(|error| self.target.failure(FailureKind::InvalidResponse, error.to_string()))?;
        // Out of `self` while its frames are borrowed.
        let mut framer = std::mem::replace(&mut self.framer, SseFramer::new(0));
        let drained = self.drain(&mut framer, out);
        self.framer = framer;
        drained
    }

    fn drain(&mut self, framer: &mut SseFramer, out: &mut Vec<u8>) -> Result<(), Failure> {
        while !self.progress.done {
            let Some(frame) = framer.next_frame() else { break };
            if !self.moulded(&frame.data, out) {
                self.event(&Bytes::copy_from_slice(&frame.data), out)?;
            }
        }
        Ok(())
    }

    /// Passes a chunk on that differs from the last only in its choices, if they are plain.
    fn moulded(&mut self, data: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(mould) = &mut self.mould else { return false };
        let Some(choices) = mould.choices(data) else { return false };
        if let Some((seen, text)) = mould.seen(choices) {
            self.said.push_str(text);
            mould.write(choices, out);
            self.watch(&[seen]);
            return true;
        }
        let Some(seen) = plain::listen(choices, &mut self.said).filter(|seen| !seen.is_empty()) else { return false };
        mould.write(choices, out);
        mould.learn(choices);
        self.watch(&seen);
        true
    }

    /// The provider closed the stream without a cut.
    ///
    /// # Errors
    /// As [`Self::push`]; also when not one event arrived, or a choice has no end.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if !self.progress.done
            && let Some(data) = self.framer.finish().map(|frame| Bytes::copy_from_slice(&frame.data))
        {
            self.event(&data, out)?;
        }
        if self.open.is_empty() && self.usage.is_none() && !self.progress.done {
            return Err(self.target.failure(FailureKind::InvalidResponse, "the stream ended without an answer"));
        }
        // A server that dies behind a proxy, or one that sends no lengths, closes in order too: an answer is over when the
        // provider says so, by a reason or by `[DONE]`.
        if !self.progress.done && self.open.iter().any(|(_, over)| !over) {
            return Err(self.target.unfinished(true));
        }
        self.progress.done = true;
        Ok(())
    }

    fn event(&mut self, data: &Bytes, out: &mut Vec<u8>) -> Result<(), Failure> {
        let trimmed = data.trim_ascii();
        if trimmed == b"[DONE]" {
            self.progress.done = true;
            return Ok(());
        }
        if trimmed.is_empty() {
            return Ok(());
        }
        let mut body = RawBody::parse(data).map_err(|_| {
            let start: String = String::from_utf8_lossy(data).chars().take(200).collect();
            self.target.failure(FailureKind::InvalidResponse, format!("an event of the stream is no JSON: '{start}'"))
        })?;
        if let Some(error) = body.typed::<Value>("error") {
            self.error_type = Some(error.get("type").cloned().unwrap_or_default());
            return Err(in_band(&error, &self.target));
        }
        let hook = self.target.provider.quirks.chunk;
        if let Some(hook) = hook {
            hook(&mut body, self.asked);
        }
        self.take_usage(&mut body);
        let passed = self.forward(&mut body, out);
        if passed && hook.is_none() {
            self.mould = Mould::of(data, &body);
        }
        Ok(())
    }

    /// Usage is held back: it goes out last, if the client asked, with what the call cost.
    fn take_usage(&mut self, body: &mut RawBody) {
        let Some(raw) = body.remove("usage") else { return };
        if let Some(used) = usage::read(&raw) {
            self.progress.usage = Some(used);
            self.usage = serde_json::from_slice(&raw).ok();
        }
    }

    /// Writes a chunk for the client; says whether its choices passed as they are.
    fn forward(&mut self, body: &mut RawBody, out: &mut Vec<u8>) -> bool {
        let touched = self.asked.json_tool || self.target.params.merge_reasoning;
        let raw = if touched { None } else { body.get("choices") };
        let plain = raw.and_then(|raw| plain::listen(raw, &mut self.said));
        let is_plain = plain.is_some();
        let seen = plain.unwrap_or_else(|| self.normalise(body));
        if seen.is_empty() {
            // Azure's first chunk (filter results only) and the usage chunk: nothing for a client to read.
            return false;
        }
        if self.target.provider.quirks.own_stream_id {
            body.set("id", &format!("chatcmpl-{}", self.context.id).into());
        }
        for (slot, name) in [(&mut self.head.id, "id"), (&mut self.head.created, "created")] {
            if slot.is_none() {
                *slot = body.get(name).cloned();
            }
        }
        self.watch(&seen);
        body.set_raw("model", self.model.clone());
        out.extend_from_slice(b"data: ");
        body.write_to(out);
        out.extend_from_slice(b"\n\n");
        is_plain
    }

    /// The slow way for choices that are not plain.
    fn normalise(&mut self, body: &mut RawBody) -> Vec<Seen> {
        let mut choices = body.typed::<Vec<Value>>("choices").unwrap_or_default();
        let unwrapped = self.asked.json_tool && self.json_tool.unwrap(&mut choices);
        let normalised = normalise::choices(&mut choices);
        let merged = self.target.params.merge_reasoning && self.merger.chunk(&mut choices);
        let seen = choices.iter().map(|choice| seen(choice, &mut self.said)).collect();
        if unwrapped || normalised || merged {
            body.set("choices", &Value::Array(choices));
        }
        seen
    }

    fn watch(&mut self, choices: &[Seen]) {
        for choice in choices {
            match self.open.iter_mut().find(|(known, _)| *known == choice.index) {
                Some((_, over)) => *over |= choice.ended,
                None => self.open.push((choice.index, choice.ended)),
            }
            self.progress.hear(choice.said as u64);
            self.progress.content |= choice.said > 0 || choice.ended;
        }
    }

    /// Writes the end: a reason for choices that have none, the usage if asked for, `[DONE]`.
    pub fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>) {
        if self.open.is_empty() {
            self.open.push((0, false));
        }
        let open: Vec<u64> = self.open.iter().filter(|(_, over)| !over).map(|(index, _)| *index).collect();
        for index in open {
            let choice = if self.text {
                json!({"index": index, "text": "", "finish_reason": "stop"})
            } else {
                json!({"index": index, "delta": {}, "finish_reason": "stop"})
            };
            self.own_chunk(&json!([choice]), None, out);
        }
        if self.context.include_usage
            && let (Some(object), Some(used)) = (self.usage.take(), self.progress.usage)
        {
            let object = writer::stream_usage(object, &used, cost);
            let choices = if self.text { json!([]) } else { json!([{"index": 0, "delta": {}, "finish_reason": null}]) };
            self.own_chunk(&choices, Some(object), out);
        }
        out.extend_from_slice(writer::DONE);
    }

    /// Writes a failure as the end.
    pub fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        let mut body = writer::error_body(failure);
        // Status and type are for clients that have not begun to read; here the provider's own type says more.
        if let (Some(own), Some(kind)) = (self.error_type.take(), body.pointer_mut("/error/type")) {
            *kind = own;
        }
        writer::event(&body, out);
    }

    fn own_chunk(&self, choices: &Value, usage: Option<Map<String, Value>>, out: &mut Vec<u8>) {
        let read = |raw: &Option<Bytes>| raw.as_ref().and_then(|raw| serde_json::from_slice(raw).ok());
        let object = if self.text { "text_completion" } else { "chat.completion.chunk" };
        let mut chunk = json!({
            "id": read(&self.head.id).unwrap_or_else(|| Value::from(format!("chatcmpl-{}", self.context.id))),
            "created": read(&self.head.created).unwrap_or_else(|| Value::from(self.context.now)),
            "model": self.context.alias,
            "object": object,
            "choices": choices,
        });
        if let (Some(chunk), Some(usage)) = (chunk.as_object_mut(), usage) {
            chunk.insert("usage".to_owned(), usage.into());
        }
        writer::event(&chunk, out);
    }
}

fn seen(choice: &Value, words: &mut String) -> Seen {
    Seen {
        index: choice.get("index").and_then(Value::as_u64).unwrap_or_default(),
        ended: choice.get("finish_reason").is_some_and(Value::is_string),
        said: said(choice, words),
    }
}

/// How many bytes of answer a choice of a chunk carries, thoughts and arguments included; their words are appended.
fn said(choice: &Value, words: &mut String) -> usize {
    let before = words.len();
    let mut tell = |value: Option<&Value>| words.push_str(value.and_then(Value::as_str).unwrap_or_default());
    let Some(delta) = choice.get("delta") else {
        tell(choice.get("text"));
        return words.len() - before;
    };
    for name in ["content", "reasoning_content", "refusal"] {
        tell(delta.get(name));
    }
    let calls = delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    for function in calls.filter_map(|call| call.get("function")) {
        tell(function.get("name"));
        tell(function.get("arguments"));
    }
    words.len() - before + delta.get("audio").map_or(0, |_| 1)
}

//! The same-words lane of the Responses API: a client of it before a provider of it. Bodies and events are passed on with
//! their members that nobody knows; only the model's name and the ids of answers are the client's.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, RawBody, Usage,
    framing::sse::SseFramer,
    http::{Outgoing, Reply},
    raw_body::quoted,
};

use super::{
    PATH, front_answer, front_stream,
    items::SEAL,
    response::{failed, in_band, read_usage, text},
};
use crate::{
    codec::{AnswerContext, Splice, Words},
    dialects::openai,
    params::{self, CallParams},
    target::Target,
    translate::{PassedStream, Progress},
};

/// Path of counting, below the base URL.
pub const INPUT_TOKENS: &str = "/responses/input_tokens";
/// Path of making a conversation shorter.
pub const COMPACT: &str = "/responses/compact";

/// The path of the provider's own Responses API, if this target has one.
#[must_use]
pub fn path(target: &Target) -> Option<&'static str> {
    let speaks = target.chat_dialect().is_some_and(|dialect| dialect.words() == Words::OpenAiResponses);
    target.provider.responses.or(speaks.then_some(PATH))
}

/// How bodies pass.
pub static RESPONSES: Native = Native { beside: None };
/// How a count of input is asked for.
pub static TOKENS: Native = Native { beside: Some(INPUT_TOKENS) };
/// How a conversation is made shorter.
pub static COMPACTED: Native = Native { beside: Some(COMPACT) };

/// See [`RESPONSES`].
#[derive(Debug)]
pub struct Native {
    /// Another path than that of answers.
    beside: Option<&'static str>,
}

impl Splice for Native {
    fn request(&self, body: RawBody, target: &Target, call: &CallParams) -> Result<Outgoing, Failure> {
        request(body, self.beside.or_else(|| path(target)).unwrap_or(PATH), target, call)
    }

    fn answer(
        &self,
        reply: &Reply,
        target: &Target,
        context: &AnswerContext,
    ) -> Result<(Bytes, Option<Usage>), Failure> {
        answer(reply, target, context)
    }

    fn stream(&self, target: Arc<Target>, context: AnswerContext, limit: usize) -> Box<dyn PassedStream> {
        Box::new(NativeStream::new(target, context, limit))
    }

    /// What tells a whole response as a stream knows what it cost, and is not asked here ([`retold`]).
    fn retell(&self, _body: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// The client's body with the deployment's defaults in. Those are written in chat's names: what has another name here gets
/// it, and what this API does not know stays out.
#[must_use]
pub fn with_defaults(body: &RawBody, target: &Target, call: &CallParams) -> RawBody {
    let mut settled = params::with_defaults(body.clone(), target, call);
    for name in target.defaults.keys().filter(|name| !body.has(name)) {
        let name = name.as_str();
        let ours = match name {
            "max_tokens" | "max_completion_tokens" => Some("max_output_tokens"),
            "reasoning_effort" => Some("reasoning"),
            "response_format" | "verbosity" | "functions" | "function_call" | "logprobs" => None,
            other if super::takes(other) => continue,
            _ => None,
        };
        let Some(raw) = settled.remove(name) else { continue };
        match ours {
            Some(ours) if settled.has(ours) => {}
            Some("reasoning") => {
                settled.set("reasoning", &json!({"effort": serde_json::from_slice::<Value>(&raw).unwrap_or_default()}));
            }
            Some(ours) => settled.set_raw(ours, raw),
            None => {}
        }
    }
    settled
}

/// The request for a target.
///
/// # Errors
/// When the credential cannot stand in a header.
fn request(mut body: RawBody, path: &str, target: &Target, call: &CallParams) -> Result<Outgoing, Failure> {
    if call.drop_params.unwrap_or(target.params.drop_params) {
        openai::reasoning_rules(&mut body, target, call)?;
    }
    if matches!(target.provider.name, "openai" | "azure") {
        drop_foreign_seals(&mut body);
    }
    body.set_str("model", &target.model);
    let mut headers = target.request_headers()?;
    if let Some(organization) = target.organization.as_ref().and_then(|text| text.parse().ok()) {
        headers.insert("openai-organization", organization);
    }
    for (name, value) in &call.extra_headers {
        headers.insert(name, value.clone());
    }
    let url = (target.provider.address)(target, path);
    Ok(Outgoing { method: Method::POST, url, headers, body: body.to_bytes() })
}

/// Takes out thoughts under another provider's seal: clients return them when they change the model, and `OpenAI` refuses
/// what it cannot open.
fn drop_foreign_seals(body: &mut RawBody) {
    let is_foreign = |item: &Value| {
        let seal = text(item, "encrypted_content");
        text(item, "type") == "reasoning" && !seal.is_empty() && !seal.starts_with(SEAL)
    };
    let named = body.get("input").is_some_and(|raw| memchr::memmem::find(raw, b"\"encrypted_content\"").is_some());
    let Some(Value::Array(mut items)) = named.then(|| body.typed("input")).flatten() else { return };
    let all = items.len();
    items.retain(|item| !is_foreign(item));
    if items.len() < all {
        body.set("input", &items.into());
    }
}

/// A whole answer, and what it used.
///
/// # Errors
/// `InvalidResponse` when a 200 does not carry a response, the provider's own error where it failed.
fn answer(reply: &Reply, target: &Target, context: &AnswerContext) -> Result<(Bytes, Option<Usage>), Failure> {
    let invalid = || target.failure(FailureKind::InvalidResponse, "the answer is no response object");
    let mut body = RawBody::parse(&reply.body).map_err(|_| invalid())?;
    let head = json!({"status": body.typed::<Value>("status"), "error": body.typed::<Value>("error")});
    // A response that somebody cancelled is an answer.
    if text(&head, "status") != "cancelled"
        && let Some(failure) = failed(&head, target)
    {
        return Err(failure);
    }
    if body.typed::<String>("object").as_deref() == Some("response.input_tokens") {
        // Counting costs nothing.
        return Ok((reply.body.clone(), Some(Usage::default())));
    }
    if !body.has("output") {
        return Err(invalid());
    }
    let usage = body.typed::<Value>("usage").and_then(|usage| read_usage(&usage));
    body.set_str("model", &context.alias);
    name(&mut body, context);
    Ok((body.to_bytes(), usage))
}

/// Gives a response the client's ids: its own, and that of the one before it.
fn name(response: &mut RawBody, context: &AnswerContext) {
    if let Some(id) = response.typed::<String>("id") {
        response.set_str("id", &context.responses.id(&id, &context.id));
    }
    if response.has("previous_response_id") {
        response.set("previous_response_id", context.responses.asked("previous_response_id"));
    }
}

/// A streamed answer on its way through.
pub struct NativeStream {
    framer: SseFramer,
    target: Arc<Target>,
    context: AnswerContext,
    /// The client's name for the model, as JSON.
    model: Bytes,
    /// The response as the last event told it, for a failure that we must tell ourselves.
    response: Option<RawBody>,
    sequence: u64,
    /// The provider's last word, held back for what the call cost.
    last: Option<(String, RawBody)>,
    /// How the provider said that it failed, told to the client already.
    failed: Option<Failure>,
    told: bool,
    progress: Progress,
    said: String,
}

impl NativeStream {
    /// A stream of this target's; events over `limit` bytes are refused.
    #[must_use]
    pub fn new(target: Arc<Target>, context: AnswerContext, limit: usize) -> Self {
        let model = quoted(&context.alias);
        Self {
            framer: SseFramer::new(limit),
            target,
            context,
            model,
            response: None,
            sequence: 0,
            last: None,
            failed: None,
            told: false,
            progress: Progress::default(),
            said: String::new(),
        }
    }

    fn event(&mut self, data: &Bytes, out: &mut Vec<u8>) -> Result<(), Failure> {
        let trimmed = data.trim_ascii();
        if trimmed.is_empty() || trimmed == b"[DONE]" {
            return Ok(());
        }
        let Ok(mut event) = RawBody::parse(data) else {
            return Err(self.target.failure(FailureKind::InvalidResponse, "an event of the stream is no JSON object"));
        };
        let kind = event.typed::<String>("type").unwrap_or_default();
        self.sequence = event.typed::<u64>("sequence_number").map_or(self.sequence, |at| at.saturating_add(1));
        if kind == "error" || (kind.is_empty() && event.has("error")) {
            let whole = Value::Object(event.to_map());
            if self.progress.content {
                self.told = true;
                write(&kind, &event, out);
            }
            return Err(in_band(whole.get("error").filter(|error| error.is_object()).unwrap_or(&whole), &self.target));
        }
        self.take_response(&mut event);
        event.set_raw("model", self.model.clone());
        match kind.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => {}
            "response.completed" | "response.incomplete" => {
                self.progress.content = true;
                self.progress.done = true;
                self.last = Some((kind, event));
                return Ok(());
            }
            "response.failed" => {
                let response = event.typed::<Value>("response").unwrap_or_default();
                event.remove("model");
                self.progress.content = true;
                self.told = true;
                self.failed = Some(failed(&response, &self.target).unwrap_or_else(|| in_band(&response, &self.target)));
            }
            _ => {
                self.progress.content |= !is_preparation(&kind, &event);
                let delta: String = event.typed("delta").unwrap_or_default();
                self.progress.hear(delta.len() as u64);
                self.said.push_str(&delta);
            }
        }
        write(&kind, &event, out);
        Ok(())
    }

    /// Looks at the response within an event, and gives it the client's ids. Its model stays the provider's word for what
    /// answers: the client's stands beside it.
    fn take_response(&mut self, event: &mut RawBody) {
        let Some(mut response) = event.get("response").and_then(|raw| RawBody::parse(raw).ok()) else { return };
        if let Some(usage) = response.typed::<Value>("usage").and_then(|usage| read_usage(&usage)) {
            self.progress.usage = Some(usage);
        }
        name(&mut response, &self.context);
        event.set_raw("response", response.to_bytes());
        self.response = Some(response);
    }
}

impl PassedStream for NativeStream {
    fn said(&self) -> &str {
        &self.said
    }

    fn forget_said(&mut self) {
        self.said.clear();
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let pushed = self.framer.push(bytes);
        pushed.map_err(|error| self.target.failure(FailureKind::InvalidResponse, error.to_string()))?;
        while !self.progress.done {
            if let Some(failure) = self.failed.take() {
                return Err(failure);
            }
            let Some(data) = self.framer.next_frame().map(|frame| Bytes::copy_from_slice(&frame.data)) else { break };
            self.event(&data, out)?;
            if self.failed.is_some() {
                // Its event goes out first: it is an answer, too.
                break;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        while !self.progress.done && self.failed.is_none() {
            let Some(data) = self.framer.next_frame().map(|frame| Bytes::copy_from_slice(&frame.data)) else { break };
            self.event(&data, out)?;
        }
        if !self.progress.done
            && self.failed.is_none()
            && let Some(data) = self.framer.finish().map(|frame| Bytes::copy_from_slice(&frame.data))
        {
            self.event(&data, out)?;
        }
        match self.failed.take() {
            Some(failure) => Err(failure),
            None if self.progress.done => Ok(()),
            None => Err(self.target.unfinished(self.response.is_some())),
        }
    }

    fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>) {
        let Some((kind, mut event)) = self.last.take() else { return };
        let response = event.get("response").and_then(|raw| RawBody::parse(raw).ok());
        if let (Some(cost), Some(mut response)) = (cost, response)
            && let Some(Value::Object(mut usage)) = response.typed::<Value>("usage")
        {
            usage.insert("cost".to_owned(), cost.into());
            response.set("usage", &Value::Object(usage));
            event.set_raw("response", response.to_bytes());
        }
        write(&kind, &event, out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        if self.told {
            return;
        }
        let Some(response) = &self.response else {
            front_stream::write_error(failure, self.sequence, out);
            return;
        };
        let mut response = response.to_map();
        front_answer::fail(&mut response, failure);
        let event = json!({"type": "response.failed", "response": response, "sequence_number": self.sequence});
        front_stream::write_event("response.failed", &event, out);
    }
}

/// Whether an event only makes room for words to come: until they do, another deployment can still answer.
fn is_preparation(kind: &str, event: &RawBody) -> bool {
    let is_empty = |value: &Value, name: &str| match value.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(parts)) => parts.is_empty(),
        Some(_) => false,
    };
    match kind {
        "response.output_item.added" => {
            let item: Value = event.typed("item").unwrap_or_default();
            matches!(item.get("type").and_then(Value::as_str), Some("message" | "reasoning"))
                && ["content", "summary", "encrypted_content"].iter().all(|name| is_empty(&item, name))
        }
        "response.content_part.added" | "response.reasoning_summary_part.added" => {
            let part: Value = event.typed("part").unwrap_or_default();
            ["text", "refusal"].iter().all(|name| is_empty(&part, name))
        }
        _ => false,
    }
}

fn write(kind: &str, event: &RawBody, out: &mut Vec<u8>) {
    // A name with a line break would end its line.
    if !kind.is_empty() && !kind.contains(['\n', '\r']) {
        out.extend_from_slice(format!("event: {kind}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    event.write_to(out);
    out.extend_from_slice(b"\n\n");
}

/// A whole response as the events of a stream, for servers that answer a streamed call with one document.
#[must_use]
pub fn retold(response: &Map<String, Value>, cost: Option<f64>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sequence = 0u64;
    let mut say = |kind: &str, mut event: Value| {
        if let Some(members) = event.as_object_mut() {
            members.insert("type".to_owned(), kind.into());
            members.insert("sequence_number".to_owned(), sequence.into());
        }
        sequence += 1;
        front_stream::write_event(kind, &event, &mut out);
    };
    let mut begun = response.clone();
    begun.insert("status".to_owned(), "in_progress".into());
    begun.insert("output".to_owned(), json!([]));
    begun.insert("usage".to_owned(), Value::Null);
    begun.insert("incomplete_details".to_owned(), Value::Null);
    say("response.created", json!({ "response": begun }));
    let items = response.get("output").and_then(Value::as_array).into_iter().flatten();
    for (place, item) in items.enumerate() {
        say("response.output_item.added", json!({"output_index": place, "item": item}));
        for (at, part) in item.get("content").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let said = text(part, "text");
            if text(part, "type") == "output_text" && !said.is_empty() {
                let place_of = json!({"item_id": item.get("id"), "output_index": place, "content_index": at,
                    "delta": said, "logprobs": []});
                say("response.output_text.delta", place_of);
            }
        }
        say("response.output_item.done", json!({"output_index": place, "item": item}));
    }
    let mut whole = response.clone();
    if let (Some(cost), Some(Value::Object(usage))) = (cost, whole.get_mut("usage")) {
        usage.insert("cost".to_owned(), cost.into());
    }
    let incomplete = response.get("status").is_some_and(|status| status == "incomplete");
    say(if incomplete { "response.incomplete" } else { "response.completed" }, json!({ "response": whole }));
    out
}

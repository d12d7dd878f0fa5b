//! The same-words lane: Anthropic's client before a provider of Anthropic's words. Bodies and events pass as they are,
//! the model's name apart; members that nobody knows survive both ways.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, RawBody, Usage,
    framing::{Framer, Framing},
    http::{Outgoing, Reply},
};

use super::{betas, failure, front_writer, in_band, operator, url, usage::Counts};
use crate::{
    answer_stream::{PassedStream, Progress},
    codec::{AnswerContext, Splice},
    params::CallParams,
    target::{Target, set_header},
};

/// The lane of `/v1/messages` at providers that take Anthropic's own requests.
pub static SPLICE: MessagesSplice = MessagesSplice;

/// See [`SPLICE`].
#[derive(Debug)]
pub struct MessagesSplice;

/// Path below the base URL.
const COUNT_PATH: &str = "/v1/messages/count_tokens";
/// What a count of tokens is asked about; Anthropic refuses the other parameters of a message.
const COUNTED: &[&str] =
    &["messages", "system", "tools", "tool_choice", "thinking", "context_management", "mcp_servers", "output_config"];
/// Longest answer where neither client nor catalog says one, tokens.
const DEFAULT_MAX_TOKENS: u64 = 4096;

impl Splice for MessagesSplice {
    fn request(&self, mut body: RawBody, target: &Target, call: &CallParams) -> Result<Outgoing, Failure> {
        body.set_str("model", &target.model);
        operator::fold(&mut body, &target.model);
        if !body.has("stream") {
            body.set_raw("stream", "false");
        }
        if !body.has("max_tokens") {
            let most = target.facts.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
            body.set("max_tokens", &most.into());
        }
        outgoing(&body, target.provider.chat_path, &[], target, call)
    }

    fn answer(
        &self,
        reply: &Reply,
        target: &Target,
        context: &AnswerContext,
    ) -> Result<(Bytes, Option<Usage>), Failure> {
        let mut body = read(&reply.body, target)?;
        body.set_str("model", &context.alias);
        let mut counts = Counts::default();
        let used = body.typed::<Value>("usage").inspect(|used| counts.take(used));
        Ok((body.to_bytes(), used.map(|_| counts.usage())))
    }

    fn stream(&self, target: Arc<Target>, context: AnswerContext, limit: usize) -> Box<dyn PassedStream> {
        Box::new(MessageStream::new(target, &context, limit))
    }

    fn retell(&self, body: &[u8]) -> Option<Vec<u8>> {
        retold(serde_json::from_slice(body).ok()?)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }

    fn count(&self, mut body: RawBody, target: &Target, call: &CallParams) -> Option<Result<Outgoing, Failure>> {
        body.retain(|name| COUNTED.contains(&name));
        body.set_str("model", &target.model);
        operator::fold(&mut body, &target.model);
        Some(outgoing(&body, COUNT_PATH, &["token-counting-2024-11-01"], target, call))
    }

    fn counted(&self, reply: &Reply, target: &Target) -> Result<Bytes, Failure> {
        let body = RawBody::parse(&reply.body).ok().filter(|body| body.has("input_tokens"));
        let none = || target.failure(FailureKind::InvalidResponse, "the answer is no count of tokens");
        let mut body = body.ok_or_else(none)?;
        // `LiteLLM`'s word for who counted.
        body.set_str("litellm_count_source", "provider");
        Ok(body.to_bytes())
    }
}

/// The same lane at a cloud that serves Claude: Anthropic's words, sent and refused in the cloud's own way. Clouds count
/// no tokens at this address.
#[derive(Debug)]
pub struct CloudSplice {
    /// Makes Anthropic's request the cloud's.
    pub sent: fn(Outgoing, &Target) -> Result<Outgoing, Failure>,
    /// Reads a refusal.
    pub failure: fn(&Reply, &Target) -> Failure,
}

impl Splice for CloudSplice {
    fn request(&self, body: RawBody, target: &Target, call: &CallParams) -> Result<Outgoing, Failure> {
        (self.sent)(SPLICE.request(body, target, call)?, target)
    }

    fn answer(
        &self,
        reply: &Reply,
        target: &Target,
        context: &AnswerContext,
    ) -> Result<(Bytes, Option<Usage>), Failure> {
        SPLICE.answer(reply, target, context)
    }

    fn stream(&self, target: Arc<Target>, context: AnswerContext, limit: usize) -> Box<dyn PassedStream> {
        SPLICE.stream(target, context, limit)
    }

    fn retell(&self, body: &[u8]) -> Option<Vec<u8>> {
        SPLICE.retell(body)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        (self.failure)(reply, target)
    }
}

fn outgoing(
    body: &RawBody,
    path: &str,
    features: &[&'static str],
    target: &Target,
    call: &CallParams,
) -> Result<Outgoing, Failure> {
    let mut headers = target.request_headers()?;
    // What is in the messages is the client's to know; he asks for the features that it needs.
    let head = body.iter().filter(|(name, _)| *name != "messages");
    let head: Map<String, Value> =
        head.filter_map(|(name, raw)| Some((name.to_owned(), serde_json::from_slice(raw).ok()?))).collect();
    betas::add(&mut headers, &betas::needed(&head, target));
    for feature in features {
        set_header(&mut headers, &HeaderName::from_static(betas::BETA_HEADER), &HeaderValue::from_static(feature));
    }
    for (name, value) in &call.extra_headers {
        set_header(&mut headers, name, value);
    }
    Ok(Outgoing { method: Method::POST, url: url(target, path), headers, body: body.to_bytes() })
}

/// A whole answer, if it is one.
fn read(bytes: &Bytes, target: &Target) -> Result<RawBody, Failure> {
    let invalid = |text: String| target.failure(FailureKind::InvalidResponse, text);
    let body = RawBody::parse(bytes).map_err(|error| invalid(format!("the answer is no JSON: {error}")))?;
    if let Some(error) = body.typed::<Value>("error").filter(|error| !error.is_null()) {
        return Err(in_band(&error, target));
    }
    if !body.has("content") {
        return Err(invalid("the answer has no content".to_owned()));
    }
    Ok(body)
}

/// The events of a message that came in one piece.
fn retold(message: Value) -> Option<Vec<u8>> {
    let Value::Object(mut message) = message else { return None };
    let Some(Value::Array(blocks)) = message.insert("content".to_owned(), json!([])) else { return None };
    let reason = message.insert("stop_reason".to_owned(), Value::Null).unwrap_or_default();
    let sequence = message.insert("stop_sequence".to_owned(), Value::Null).unwrap_or_default();
    let used = message.get("usage").cloned().unwrap_or_else(|| json!({"output_tokens": 0}));
    let mut out = Vec::new();
    front_writer::event(&json!({"type": "message_start", "message": message}), &mut out);
    for (index, block) in blocks.into_iter().enumerate() {
        let (start, deltas) = taken_apart(block);
        front_writer::event(&json!({"type": "content_block_start", "index": index, "content_block": start}), &mut out);
        for delta in deltas {
            front_writer::event(&json!({"type": "content_block_delta", "index": index, "delta": delta}), &mut out);
        }
        front_writer::event(&json!({"type": "content_block_stop", "index": index}), &mut out);
    }
    let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
    front_writer::event(&json!({"type": "message_delta", "delta": delta, "usage": used}), &mut out);
    front_writer::event(&json!({"type": "message_stop"}), &mut out);
    Some(out)
}

/// A block as it begins, and what it then grows by. Blocks that nobody knows begin whole.
fn taken_apart(mut block: Value) -> (Value, Vec<Value>) {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut take = |name: &str, left: Value| {
        block.as_object_mut().and_then(|members| members.get_mut(name)).map(|value| std::mem::replace(value, left))
    };
    let deltas = match kind.as_str() {
        "text" => take("text", "".into()).map(|text| json!({"type": "text_delta", "text": text})).into_iter().collect(),
        "thinking" => {
            let said = take("thinking", "".into()).map(|text| json!({"type": "thinking_delta", "thinking": text}));
            let seal = take("signature", "".into()).map(|seal| json!({"type": "signature_delta", "signature": seal}));
            said.into_iter().chain(seal).collect()
        }
        "tool_use" | "server_tool_use" => take("input", json!({}))
            .map(|input| json!({"type": "input_json_delta", "partial_json": input.to_string()}))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    };
    (block, deltas)
}

/// A streamed answer on its way through.
pub struct MessageStream {
    framer: Framer,
    target: Arc<Target>,
    /// The client's name for the model.
    alias: String,
    counts: Counts,
    progress: Progress,
    said: String,
    started: bool,
    /// The last event, which waits for the count of what the call cost.
    last: Vec<u8>,
    /// The type of an error that came in the stream, as the provider wrote it.
    error_type: Option<String>,
}

impl MessageStream {
    /// A stream of server-sent events whose largest is `limit` bytes.
    #[must_use]
    pub fn new(target: Arc<Target>, context: &AnswerContext, limit: usize) -> Self {
        Self {
            framer: Framer::new(Framing::Sse, limit),
            target,
            alias: context.alias.clone(),
            counts: Counts::default(),
            progress: Progress::default(),
            said: String::new(),
            started: false,
            last: Vec::new(),
            error_type: None,
        }
    }

    /// Takes one event: clouds that serve Claude frame them in other ways.
    ///
    /// # Errors
    /// When the event reports a failure, or is none.
    pub fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let data = Bytes::copy_from_slice(data.trim_ascii());
        if data.is_empty() {
            return Ok(());
        }
        let mut event = RawBody::parse(&data).map_err(|_| {
            let start: String = String::from_utf8_lossy(&data).chars().take(200).collect();
            self.target.failure(FailureKind::InvalidResponse, format!("an event of the stream is no JSON: '{start}'"))
        })?;
        let kind = event.typed::<String>("type").unwrap_or_default();
        match kind.as_str() {
            "error" => {
                let error = event.typed::<Value>("error").unwrap_or_default();
                self.error_type = error.get("type").and_then(Value::as_str).map(str::to_owned);
                let mut failure = in_band(&error, &self.target);
                // Nothing was said yet: what the client gets is a status, and Anthropic's own for this is 529.
                if !self.progress.content && self.error_type.as_deref() == Some("overloaded_error") {
                    failure.kind = FailureKind::ServiceUnavailable;
                }
                return Err(failure);
            }
            "message_start" => self.start(&mut event),
            "content_block_start" => self.progress.content |= !is_empty_block(&event),
            "content_block_delta" => {
                let before = self.said.len();
                let is_known = listen(&event, &mut self.said);
                self.progress.content |= !is_known || self.said.len() > before;
                self.progress.hear((self.said.len() - before) as u64);
            }
            "message_delta" => {
                self.progress.content = true;
                self.count(event.typed::<Value>("usage"));
            }
            "message_stop" => {
                self.progress.done = true;
                write(&kind, &event, &mut self.last);
                return Ok(());
            }
            _ => {}
        }
        write(&kind, &event, out);
        Ok(())
    }

    fn start(&mut self, event: &mut RawBody) {
        self.started = true;
        let Some(mut message) = event.get("message").and_then(|raw| RawBody::parse(raw).ok()) else { return };
        message.set_str("model", &self.alias);
        self.count(message.typed::<Value>("usage"));
        event.set_raw("message", message.to_bytes());
    }

    fn count(&mut self, used: Option<Value>) {
        if let Some(used) = used.filter(Value::is_object) {
            self.counts.take(&used);
            self.progress.usage = Some(self.counts.usage());
        }
    }
}

fn write(kind: &str, event: &RawBody, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    // A name is a word; anything else would be more lines.
    out.extend(kind.bytes().filter(|byte| !byte.is_ascii_control()));
    out.extend_from_slice(b"\ndata: ");
    out.extend(event.to_bytes().iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    out.extend_from_slice(b"\n\n");
}

/// The words of a piece of an answer; false if it is of a kind that has none.
fn listen(event: &RawBody, said: &mut String) -> bool {
    let delta = event.typed::<Value>("delta").unwrap_or_default();
    let mut is_known = false;
    for words in ["text", "thinking", "partial_json"].iter().filter_map(|name| delta.get(*name)?.as_str()) {
        is_known = true;
        said.push_str(words);
    }
    is_known
}

/// Whether a block begins that says nothing yet: as long as no more has come, another deployment can still answer.
fn is_empty_block(event: &RawBody) -> bool {
    let block = event.typed::<Value>("content_block").unwrap_or_default();
    let is_silent = |name: &str| block.get(name).and_then(Value::as_str).is_none_or(str::is_empty);
    matches!(block.get("type").and_then(Value::as_str), Some("text" | "thinking"))
        && is_silent("text")
        && is_silent("thinking")
}

impl PassedStream for MessageStream {
    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn said(&self) -> &str {
        &self.said
    }

    fn forget_said(&mut self) {
        self.said.clear();
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let garbled = |target: &Target, error: String| target.failure(FailureKind::InvalidResponse, error);
        self.framer.push(bytes).map_err(|error| garbled(&self.target, error.to_string()))?;
        while !self.progress.done {
            let frame = self.framer.next_frame().map_err(|error| garbled(&self.target, error.to_string()))?;
            let Some(data) = frame.map(|frame| frame.data.into_owned()) else { break };
            self.event(&data, out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if !self.progress.done
            && let Some(data) = self.framer.finish().map(|frame| frame.data.into_owned())
        {
            self.event(&data, out)?;
        }
        if self.progress.done { Ok(()) } else { Err(self.target.unfinished(self.started)) }
    }

    fn close(&mut self, _cost: Option<f64>, out: &mut Vec<u8>) {
        out.append(&mut self.last);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        let mut body = front_writer::error(failure);
        // The provider's own type says more than our status.
        if let (Some(own), Some(kind)) = (self.error_type.take(), body.pointer_mut("/error/type")) {
            *kind = own.into();
        }
        front_writer::event(&body, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_one_piece_is_told_block_by_block() {
        let message = json!({"id": "msg_1", "type": "message", "content": [
            {"type": "thinking", "thinking": "so", "signature": "S"}, {"type": "of_tomorrow", "x": 1},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
            "stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 4}});
        let text = String::from_utf8(retold(message).unwrap()).unwrap();
        let events: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert_eq!(events.len(), 12);
        assert_eq!(events[0]["message"]["content"], json!([]));
        assert_eq!(events[3]["delta"], json!({"type": "signature_delta", "signature": "S"}));
        assert_eq!(events[5]["content_block"], json!({"type": "of_tomorrow", "x": 1}));
        assert_eq!(events[8]["delta"]["partial_json"], r#"{"a":1}"#);
        assert_eq!(
            (&events[10]["delta"]["stop_reason"], &events[10]["usage"]["output_tokens"]),
            (&json!("tool_use"), &json!(4))
        );
        assert!(retold(json!({"content": "x"})).is_none());
    }
}

//! Anthropic's clients before Claude at Bedrock: `InvokeModel` with the client's own body, and its events out of AWS's
//! frames.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, RawBody, Usage,
    framing::{Framer, Framing},
    http::{Outgoing, Reply},
};

use super::{claude, invoke, names};
use crate::{
    answer_stream::{PassedStream, Progress},
    codec::{AnswerContext, Splice, Words},
    dialects::{
        anthropic::{self, BETA_HEADER, MessageStream},
        aws,
    },
    params::CallParams,
    target::{Target, set_header},
};

/// Features of Anthropic's that Bedrock knows; it refuses a request that names another.
const FEATURES: &[&str] = &[
    "computer-use-2024-10-22",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dev-full-thinking-2025-05-14",
    "effort-2025-11-24",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "token-efficient-tools-2025-02-19",
    "tool-examples-2025-10-29",
    "tool-search-tool-2025-10-19",
];

/// The same features under names that only Anthropic itself knows.
const OTHERWISE: &[(&str, &str)] = &[("advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19")];

/// Longest answer where neither client nor catalog says one, tokens.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Where cache marks never stand: what is in there is the tool's affair.
const NOT_MARKED: &[&str] = &["input", "input_schema"];

/// How a body passes, if the model is Claude and nothing in it must be fetched: Bedrock reads no addresses.
pub(super) fn of_body(client: Words, body: &RawBody, target: &Target) -> Option<&'static dyn Splice> {
    let speaks = client == Words::AnthropicMessages && names::is_claude(target) && !invoke::takes_words_only(target);
    (speaks && !has_addresses(body)).then_some(&MESSAGES as &dyn Splice)
}

fn has_addresses(body: &RawBody) -> bool {
    let Some(raw) = body.get("messages").filter(|raw| memchr::memmem::find(raw, b"\"url\"").is_some()) else {
        return false;
    };
    serde_json::from_slice(raw).is_ok_and(|messages: Value| any_address(&messages))
}

fn any_address(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(any_address),
        Value::Object(members) => {
            members.get("source").and_then(|source| source.get("type")).is_some_and(|kind| kind == "url")
                || members.get("content").is_some_and(any_address)
        }
        _ => false,
    }
}

static MESSAGES: Messages = Messages;

/// See [`of_body`].
#[derive(Debug)]
struct Messages;

impl Splice for Messages {
    fn request(&self, mut body: RawBody, target: &Target, call: &CallParams) -> Result<Outgoing, Failure> {
        body.remove("model");
        let streams = body.remove("stream").is_some_and(|raw| raw.as_ref() == b"true");
        if !body.has("max_tokens") {
            let most = target.facts.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
            body.set("max_tokens", &most.into());
        }
        if let Some(text) = body.typed::<String>("system") {
            body.set("system", &json!([{"type": "text", "text": text}]));
        }
        if !body.has("anthropic_version") {
            body.set_str("anthropic_version", claude::VERSION);
        }
        let mut headers = target.request_headers()?;
        for (name, value) in &call.extra_headers {
            set_header(&mut headers, name, value);
        }
        let asked = headers.remove(BETA_HEADER);
        let asked = asked.as_ref().and_then(|list| list.to_str().ok()).unwrap_or_default();
        name_features(&mut body, asked, target);
        name_format(&mut body);
        plain_marks(&mut body, target);
        let operation = if streams { "invoke-with-response-stream" } else { "invoke" };
        let url = format!("{}/model/{}/{operation}", target.base_url, invoke::plain_segment(target));
        Ok(Outgoing { method: Method::POST, url, headers, body: body.to_bytes() })
    }

    fn answer(
        &self,
        reply: &Reply,
        target: &Target,
        context: &AnswerContext,
    ) -> Result<(Bytes, Option<Usage>), Failure> {
        anthropic::SPLICE.answer(reply, target, context)
    }

    fn stream(&self, target: Arc<Target>, context: AnswerContext, limit: usize) -> Box<dyn PassedStream> {
        Box::new(FramedStream {
            framer: Framer::new(Framing::AwsEvents, limit),
            inner: MessageStream::new(Arc::clone(&target), &context, limit),
            target,
            read: Map::new(),
        })
    }

    fn retell(&self, body: &[u8]) -> Option<Vec<u8>> {
        anthropic::SPLICE.retell(body)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

/// Names the features that are asked for and needed, as far as Bedrock knows them, where it wants them: in the body.
fn name_features(body: &mut RawBody, asked: &str, target: &Target) {
    let told: Vec<String> = body.typed("anthropic_beta").unwrap_or_default();
    let head = body.iter().filter(|(name, _)| *name != "messages");
    let head: Map<String, Value> =
        head.filter_map(|(name, raw)| Some((name.to_owned(), serde_json::from_slice(raw).ok()?))).collect();
    let needed = anthropic::needed_features(&head, target);
    let mut features: Vec<&str> = Vec::new();
    for feature in told.iter().map(String::as_str).chain(asked.split(',').map(str::trim)).chain(needed) {
        let feature = OTHERWISE.iter().find(|(theirs, _)| *theirs == feature).map_or(feature, |(_, here)| here);
        if FEATURES.contains(&feature) && !features.contains(&feature) {
            features.push(feature);
        }
    }
    body.remove("anthropic_beta");
    if !features.is_empty() {
        body.set("anthropic_beta", &features.into());
    }
}

/// The form of the answer under the name that it has since it is for everyone; Bedrock knows no other.
fn name_format(body: &mut RawBody) {
    let Some(format) = body.typed::<Value>("output_format") else { return };
    body.remove("output_format");
    let mut config: Map<String, Value> = body.typed("output_config").unwrap_or_default();
    config.insert("format".to_owned(), format);
    body.set("output_config", &config.into());
}

/// Cache marks as Bedrock takes them: none says how far it reaches, and only recent models know how long.
fn plain_marks(body: &mut RawBody, target: &Target) {
    let lasts = names::is_recent_claude(target);
    for name in ["system", "tools", "messages"] {
        let more = |raw: &&Bytes| {
            let holds = |word: &[u8]| memchr::memmem::find(raw, word).is_some();
            holds(b"\"cache_control\"") && (holds(b"\"scope\"") || holds(b"\"ttl\""))
        };
        let Some(raw) = body.get(name).filter(more) else { continue };
        let Ok(mut value) = serde_json::from_slice::<Value>(raw) else { continue };
        strip(&mut value, lasts);
        body.set(name, &value);
    }
}

fn strip(value: &mut Value, lasts: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, lasts)),
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("cache_control", Value::Object(mark)) => {
                        mark.shift_remove("scope");
                        if !lasts {
                            mark.shift_remove("ttl");
                        }
                    }
                    (name, value) if !NOT_MARKED.contains(&name) => strip(value, lasts),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// A streamed answer: Anthropic's events, each in an envelope in a frame of AWS's.
struct FramedStream {
    framer: Framer,
    inner: MessageStream,
    target: Arc<Target>,
    /// What was read for the answer, from the first event: what `LiteLLM`'s clients find in the last ones too.
    read: Map<String, Value>,
}

impl FramedStream {
    /// Takes the frames that have arrived.
    fn drain(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        while !self.inner.progress().done {
            let frame = self.framer.next_frame();
            let frame = frame.map_err(|error| self.target.failure(FailureKind::InvalidResponse, error.to_string()))?;
            let Some(frame) = frame else { break };
            if let Some(mut event) = invoke::chunk(&frame, &self.target)? {
                self.count(&mut event);
                self.inner.event(event.to_string().as_bytes(), out)?;
            }
        }
        Ok(())
    }

    /// Puts counts where Anthropic puts them, and AWS's own measures away.
    fn count(&mut self, event: &mut Value) {
        match event.get("type").and_then(Value::as_str) {
            Some("message_start") => {
                let used = event.pointer("/message/usage").and_then(Value::as_object).cloned().unwrap_or_default();
                self.read = used.into_iter().filter(|(name, count)| name.contains("input") && count.is_u64()).collect();
            }
            Some("message_delta") => {
                for (name, count) in std::mem::take(&mut self.read) {
                    if let Some(Value::Object(used)) = event.get_mut("usage") {
                        used.entry(name).or_insert(count);
                    }
                }
            }
            _ => {}
        }
        let measures = event.as_object_mut().and_then(|event| event.shift_remove("amazon-bedrock-invocationMetrics"));
        let count = |name: &str| measures.as_ref()?.get(name)?.as_u64();
        if let (Some(input), Some(output)) = (count("inputTokenCount"), count("outputTokenCount"))
            && let Some(event) = event.as_object_mut()
        {
            event.insert("usage".to_owned(), json!({"input_tokens": input, "output_tokens": output}));
        }
    }
}

impl PassedStream for FramedStream {
    fn progress(&self) -> &Progress {
        self.inner.progress()
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let pushed = self.framer.push(bytes);
        pushed.map_err(|error| self.target.failure(FailureKind::InvalidResponse, error.to_string()))?;
        self.drain(out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.inner.finish(out)
    }

    fn said(&self) -> &str {
        self.inner.said()
    }

    fn forget_said(&mut self) {
        self.inner.forget_said();
    }

    fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>) {
        self.inner.close(cost, out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.inner.fail(failure, out);
    }
}

//! A client of Gemini's before a Gemini: bodies pass as they are, members that nobody knows included.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind, RawBody, Usage,
    chat::ChatRequest,
    framing::{Framer, Framing},
    http::{Outgoing, Reply},
};

use super::{
    content_url,
    failure::{error_of, in_band},
    front, request_body, url,
    usage::Counts,
};
use crate::{
    codec::{AnswerContext, ClientDialect as _, Splice},
    dialects::openai::CHAT_CLIENT,
    params::{self, CallParams},
    target::{Target, set_header},
    translate::{PassedStream, Progress},
};

/// How bodies pass.
pub static CONTENT: Native = Native;

/// See [`CONTENT`].
#[derive(Debug)]
pub struct Native;

impl Splice for Native {
    fn request(&self, body: RawBody, target: &Target, call: &CallParams) -> Result<Outgoing, Failure> {
        request(body, false, target, call)
    }

    fn answer(
        &self,
        reply: &Reply,
        target: &Target,
        _context: &AnswerContext,
    ) -> Result<(Bytes, Option<Usage>), Failure> {
        answer(reply, target)
    }

    fn stream(&self, target: Arc<Target>, _context: AnswerContext, limit: usize) -> Box<dyn PassedStream> {
        let (framer, progress) = (Framer::new(Framing::Sse, limit), Progress::default());
        Box::new(ContentStream { target, framer, progress, said: String::new() })
    }

    /// A whole answer is an event as it is.
    fn retell(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        write(body, &mut out);
        Some(out)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        super::failure::failure(reply, target)
    }

    fn count(&self, body: RawBody, target: &Target, call: &CallParams) -> Option<Result<Outgoing, Failure>> {
        Some(request(body, true, target, call))
    }

    fn counted(&self, reply: &Reply, target: &Target) -> Result<Bytes, Failure> {
        let is_count = RawBody::parse(&reply.body).is_ok_and(|body| body.has("totalTokens"));
        let none = || target.failure(FailureKind::InvalidResponse, "the answer is no count of tokens");
        is_count.then(|| reply.body.clone()).ok_or_else(none)
    }
}

/// The client's body with the deployment's defaults in, where the client does not say otherwise.
///
/// # Errors
/// When the defaults cannot be said to a Gemini.
pub fn settle(body: RawBody, target: &Target, call: &CallParams) -> Result<RawBody, Failure> {
    let mut bare = target.clone();
    let defaults = std::mem::take(&mut bare.defaults);
    let mut body = params::with_defaults(body, &bare, call);
    if defaults.is_empty() {
        return Ok(body);
    }
    let has_temperature = defaults.contains_key("temperature");
    let request: ChatRequest = CHAT_CLIENT.read(&RawBody::from_map(&defaults))?;
    let mut said = request_body(&request, target)?;
    said.shift_remove("contents");
    let mut settings = match said.shift_remove("generationConfig") {
        Some(Value::Object(settings)) => settings,
        _ => Map::new(),
    };
    if !has_temperature {
        // What a model of the third generation gets unasked is not a default of the deployment.
        settings.shift_remove("temperature");
    }
    for (name, value) in &said {
        if !body.has(name) && !body.has(&camel(name)) {
            body.set(name, value);
        }
    }
    let own: Map<String, Value> =
        body.typed("generationConfig").or_else(|| body.typed("generation_config")).unwrap_or_default();
    let missing = settings.into_iter().filter(|(name, _)| !own.contains_key(name) && !own.contains_key(&camel(name)));
    let missing: Vec<(String, Value)> = missing.collect();
    if !missing.is_empty() {
        body.remove("generation_config");
        let all = own.into_iter().chain(missing).collect();
        body.set("generationConfig", &Value::Object(all));
    }
    Ok(body)
}

fn camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// The request.
///
/// # Errors
/// When the key cannot stand in a header.
fn request(mut body: RawBody, counts: bool, target: &Target, call: &CallParams) -> Result<Outgoing, Failure> {
    let streamed = body.remove("stream").is_some_and(|raw| raw.as_ref() == b"true");
    let url = if counts { url(target, "countTokens") } else { content_url(target, streamed) };
    if counts {
        body.remove("model");
    } else {
        body.set_str("model", &target.model);
    }
    let mut headers = target.request_headers()?;
    for (name, value) in &call.extra_headers {
        set_header(&mut headers, name, value);
    }
    Ok(Outgoing { method: Method::POST, url, headers, body: body.to_bytes() })
}

/// The whole answer, and what it used.
///
/// # Errors
/// When it is not an answer, or holds an error.
fn answer(reply: &Reply, target: &Target) -> Result<(Bytes, Option<Usage>), Failure> {
    let invalid = |error: serde_json::Error| {
        target.failure(FailureKind::InvalidResponse, format!("the answer is no JSON: {error}"))
    };
    let body: Value = serde_json::from_slice(&reply.body).map_err(invalid)?;
    if let Some(error) = error_of(&body) {
        return Err(in_band(error, target));
    }
    let used = body.get("usageMetadata").map(|counts| Counts(counts).usage());
    // Counting costs nothing.
    let counted = body.get("totalTokens").map(|_| Usage::default());
    Ok((reply.body.clone(), used.or(counted)))
}

/// A stream that passes as it is.
struct ContentStream {
    target: Arc<Target>,
    framer: Framer,
    progress: Progress,
    said: String,
}

impl ContentStream {
    fn garbled(&self, error: &dyn std::fmt::Display) -> Failure {
        self.target.failure(FailureKind::InvalidResponse, error.to_string())
    }
}

impl PassedStream for ContentStream {
    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let pushed = self.framer.push(bytes);
        pushed.map_err(|error| self.garbled(&error))?;
        loop {
            let frame = self.framer.next_frame().map(|frame| frame.map(|frame| frame.data.into_owned()));
            let Some(data) = frame.map_err(|error| self.garbled(&error))? else { return Ok(()) };
            let bytes = pass(&data, &self.target, &mut self.progress, &mut self.said, out)?;
            self.progress.hear(bytes);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if let Some(frame) = self.framer.finish() {
            let data = frame.data.into_owned();
            let bytes = pass(&data, &self.target, &mut self.progress, &mut self.said, out)?;
            self.progress.hear(bytes);
        }
        if !self.progress.content {
            return Err(self.target.unfinished(false));
        }
        self.progress.done = true;
        Ok(())
    }

    fn said(&self) -> &str {
        &self.said
    }

    fn forget_said(&mut self) {
        self.said.clear();
    }

    /// The end of the stream is its last word.
    fn close(&mut self, _cost: Option<f64>, _out: &mut Vec<u8>) {}

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        write(front::error(failure).to_string().as_bytes(), out);
    }
}

/// Passes an event on; gives how many bytes of words it holds.
fn pass(
    data: &[u8],
    target: &Target,
    progress: &mut Progress,
    said: &mut String,
    out: &mut Vec<u8>,
) -> Result<u64, Failure> {
    let data = data.trim_ascii();
    if data.is_empty() || data == b"[DONE]" {
        return Ok(0);
    }
    let event = target.event(data)?;
    if let Some(error) = error_of(&event) {
        return Err(in_band(error, target));
    }
    progress.content = true;
    if let Some(counts) = event.get("usageMetadata") {
        progress.usage = Some(Counts(counts).usage());
    }
    let before = said.len();
    let candidates = event.get("candidates").and_then(Value::as_array).into_iter().flatten();
    for part in candidates.filter_map(|one| one.get("content")?.get("parts")?.as_array()).flatten() {
        match part.get("functionCall") {
            Some(call) => said.push_str(&call.to_string()),
            None => said.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default()),
        }
    }
    if data.contains(&b'\n') {
        // An event of several lines becomes one of one.
        write(event.to_string().as_bytes(), out);
    } else {
        write(data, out);
    }
    Ok((said.len() - before) as u64)
}

fn write(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

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
    codec::ClientDialect as _,
    dialects::openai::CHAT_CLIENT,
    params::{self, CallParams},
    target::{Target, set_header},
    translate::Progress,
};

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
pub fn request(mut body: RawBody, counts: bool, target: &Target, call: &CallParams) -> Result<Outgoing, Failure> {
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
pub fn answer(reply: &Reply, target: &Target) -> Result<(Bytes, Option<Usage>), Failure> {
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
pub struct PassedStream {
    target: Arc<Target>,
    framer: Framer,
    progress: Progress,
}

impl PassedStream {
    pub(crate) fn new(target: Arc<Target>, limit: usize) -> Self {
        Self { target, framer: Framer::new(Framing::Sse, limit), progress: Progress::default() }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let garbled = |target: &Target, error: &dyn std::fmt::Display| {
            target.failure(FailureKind::InvalidResponse, error.to_string())
        };
        self.framer.push(bytes).map_err(|error| garbled(&self.target, &error))?;
        while let Some(frame) = self.framer.next_frame().map_err(|error| garbled(&self.target, &error))? {
            let data = frame.data.into_owned();
            pass(&data, &self.target, &mut self.progress, out)?;
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if let Some(frame) = self.framer.finish() {
            let data = frame.data.into_owned();
            pass(&data, &self.target, &mut self.progress, out)?;
        }
        if !self.progress.content {
            return Err(self.target.unfinished(false));
        }
        self.progress.done = true;
        Ok(())
    }

    pub(crate) fn fail(failure: &Failure, out: &mut Vec<u8>) {
        write(front::error(failure).to_string().as_bytes(), out);
    }
}

fn pass(data: &[u8], target: &Target, progress: &mut Progress, out: &mut Vec<u8>) -> Result<(), Failure> {
    let data = data.trim_ascii();
    if data.is_empty() || data == b"[DONE]" {
        return Ok(());
    }
    let event = target.event(data)?;
    if let Some(error) = error_of(&event) {
        return Err(in_band(error, target));
    }
    progress.content = true;
    if let Some(counts) = event.get("usageMetadata") {
        progress.usage = Some(Counts(counts).usage());
    }
    let said = event.get("candidates").map_or(0, |candidates| candidates.to_string().len());
    progress.output_bytes += said as u64;
    if data.contains(&b'\n') {
        // An event of several lines becomes one of one.
        write(event.to_string().as_bytes(), out);
    } else {
        write(data, out);
    }
    Ok(())
}

fn write(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

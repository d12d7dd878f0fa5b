//! What a call used, read from an answer that passes by unchanged: whichever of the known shapes of usage stands in its
//! JSON or in the events of its stream.

use base64::Engine as _;
use memchr::memmem;
use serde_json::Value;
use tollgate_wire::{
    Usage,
    framing::{Framer, Framing},
};

use crate::dialects::openai;

/// Largest document, or event of a stream, that is looked into. Bytes.
const MOST: usize = 4 << 20;

/// What an answer says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Tokens.
    pub usage: Option<Usage>,
    /// Sound that was listened to, in milliseconds.
    pub heard_millis: Option<u64>,
    /// The model that answered.
    pub model: Option<String>,
    /// Words of the answer, until they are taken.
    pub said: String,
}

/// Reads along. Memory: one document or one event, at most 4 MiB; what is larger is not looked into.
#[derive(Debug)]
pub struct Gauge {
    kind: Kind,
    reading: Reading,
}

#[derive(Debug)]
enum Kind {
    Document(Vec<u8>),
    Events(Framer),
    Blind,
}

impl Gauge {
    /// A gauge for an answer of this content type.
    #[must_use]
    pub fn of(content_type: &str) -> Self {
        let kind = match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json" => Kind::Document(Vec::new()),
            "text/event-stream" => Kind::Events(Framer::new(Framing::Sse, MOST)),
            "application/x-ndjson" | "application/jsonl" => Kind::Events(Framer::new(Framing::Lines, MOST)),
            "application/vnd.amazon.eventstream" => Kind::Events(Framer::new(Framing::AwsEvents, MOST)),
            _ => Kind::Blind,
        };
        Self { kind, reading: Reading::default() }
    }

    /// Looks at the next bytes of the answer.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.kind {
            Kind::Document(seen) if seen.len() + bytes.len() <= MOST => seen.extend_from_slice(bytes),
            Kind::Events(framer) => {
                if framer.push(bytes).is_err() || drain(framer, &mut self.reading).is_err() {
                    self.kind = Kind::Blind;
                }
            }
            Kind::Document(_) => self.kind = Kind::Blind,
            Kind::Blind => {}
        }
    }

    /// The answer has ended.
    pub fn finish(&mut self) {
        match std::mem::replace(&mut self.kind, Kind::Blind) {
            Kind::Document(seen) => absorb_bytes(&seen, &mut self.reading),
            Kind::Events(mut framer) => {
                if let Some(frame) = framer.finish() {
                    absorb_bytes(&frame.data, &mut self.reading);
                }
            }
            Kind::Blind => {}
        }
    }

    /// The words of the answer since the last time.
    #[must_use]
    pub fn take_said(&mut self) -> String {
        std::mem::take(&mut self.reading.said)
    }

    /// How much of a document waits for its end to be read, bytes.
    #[must_use]
    pub fn unread(&self) -> u64 {
        if let Kind::Document(seen) = &self.kind { seen.len() as u64 } else { 0 }
    }

    /// What was read so far.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.reading
    }
}

fn drain(framer: &mut Framer, reading: &mut Reading) -> Result<(), ()> {
    while let Some(frame) = framer.next_frame().map_err(|_| ())? {
        // What says neither words nor usage need not be taken apart.
        let data = frame.data.as_ref();
        let speaks =
            ["sage\"", "Tokens\"", "TokenCount\"", "\"bytes\"", "usageMetadata", "\"model\"", "\"delta\"", "\"text\""];
        if speaks.iter().any(|word| memmem::find(data, word.as_bytes()).is_some()) {
            absorb_bytes(data, reading);
        }
    }
    Ok(())
}

fn absorb_bytes(bytes: &[u8], reading: &mut Reading) {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return };
    match &document {
        // Gemini streams a list of answers where nobody asks for events.
        Value::Array(documents) => documents.iter().for_each(|document| absorb(document, reading)),
        document => absorb(document, reading),
    }
}

fn absorb(document: &Value, reading: &mut Reading) {
    if let Some(inner) = document.get("bytes").and_then(Value::as_str) {
        // Bedrock's InvokeModel wraps each event of a model in base64.
        if let Ok(inner) = base64::engine::general_purpose::STANDARD.decode(inner) {
            absorb_bytes(&inner, reading);
        }
        return;
    }
    for outer in [Some(document), document.get("response"), document.get("message")].into_iter().flatten() {
        let model = outer.get("model").or_else(|| outer.get("modelVersion")).and_then(Value::as_str);
        if let (None, Some(model)) = (&reading.model, model) {
            reading.model = Some(model.to_owned());
        }
        for name in ["usage", "usageMetadata", "amazon-bedrock-invocationMetrics", "meta"] {
            let Some(usage) = outer.get(name) else { continue };
            let tier = outer.get("service_tier").and_then(Value::as_str);
            if let Some(found) = usage_of(usage).map(|found| found.served(tier)) {
                reading.usage = Some(reading.usage.map_or(found, |known| larger(known, found)));
            }
            if usage.get("type").is_some_and(|kind| kind == "duration") {
                reading.heard_millis = usage.get("seconds").and_then(millis).or(reading.heard_millis);
            }
        }
    }
    hear(document, &mut reading.said);
    if document.get("text").is_some() {
        reading.heard_millis = reading.heard_millis.or_else(|| document.get("duration").and_then(millis));
    }
}

/// Takes the words of an answer, or of one event of it, in whosever shape.
fn hear(document: &Value, said: &mut String) {
    let kind = document.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind.starts_with("response.") || kind.starts_with("transcript.") {
        // OpenAI's later events repeat the words of the earlier ones.
        said.push_str(document.get("delta").and_then(Value::as_str).unwrap_or_default());
        return;
    }
    collect(document, said);
}

fn collect(value: &Value, said: &mut String) {
    const WORDS: [&str; 9] = [
        "content",
        "text",
        "reasoning_content",
        "thinking",
        "refusal",
        "arguments",
        "partial_json",
        "input",
        "response",
    ];
    // What a document repeats of its request.
    const ASKED: [&str; 4] = ["tools", "instructions", "metadata", "usage"];
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, said)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if WORDS.contains(&name.as_str()) => said.push_str(text),
                    Value::Array(_) | Value::Object(_) if !ASKED.contains(&name.as_str()) => collect(value, said),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Seconds as milliseconds; some providers write the number as a text.
pub(crate) fn millis(seconds: &Value) -> Option<u64> {
    let seconds = seconds.as_f64().or_else(|| seconds.as_str()?.parse().ok())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (0.0..1e12).contains(&seconds).then_some((seconds * 1000.0).round() as u64)
}

/// One object of usage, in whosever words.
#[must_use]
pub fn usage_of(usage: &Value) -> Option<Usage> {
    if let Some(inner) = usage.get("tokens").or_else(|| usage.get("billed_units")).filter(|inner| inner.is_object()) {
        return usage_of(inner);
    }
    if usage.get("prompt_tokens").is_some() {
        return openai::read_usage(usage.to_string().as_bytes());
    }
    let number = |names: &[&str]| names.iter().find_map(|name| usage.get(name)?.as_u64());
    let within = |outer: &str, name: &str| usage.get(outer)?.get(name)?.as_u64();
    if let Some(prompt) = number(&["promptTokenCount"]) {
        let thought = number(&["thoughtsTokenCount"]).unwrap_or_default();
        return Some(
            Usage {
                input: prompt + number(&["toolUsePromptTokenCount"]).unwrap_or_default(),
                output: number(&["candidatesTokenCount", "responseTokenCount"]).unwrap_or_default() + thought,
                cache_read: number(&["cachedContentTokenCount"]).unwrap_or_default(),
                reasoning: thought,
                ..Usage::default()
            }
            .served(usage.get("trafficType").and_then(Value::as_str)),
        );
    }
    let input = number(&["input_tokens", "inputTokens", "inputTokenCount"]);
    let output = number(&["output_tokens", "outputTokens", "outputTokenCount"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    // These count what a cache had part in apart from the rest.
    let read = number(&["cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount"]);
    let written = number(&["cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
    let written_1h = within("cache_creation", "ephemeral_1h_input_tokens").unwrap_or_default();
    let apart = read.unwrap_or_default() + written.unwrap_or_default();
    Some(
        Usage {
            input: input.unwrap_or_default() + apart,
            output: output.unwrap_or_default(),
            cache_read: read.or_else(|| within("input_tokens_details", "cached_tokens")).unwrap_or_default(),
            cache_write: written.unwrap_or_default().saturating_sub(written_1h),
            cache_write_1h: written_1h,
            reasoning: within("output_tokens_details", "reasoning_tokens").unwrap_or_default(),
            audio_input: within("input_token_details", "audio_tokens").unwrap_or_default(),
            image_input: within("input_tokens_details", "image_tokens").unwrap_or_default(),
            image_output: within("output_tokens_details", "image_tokens").unwrap_or_default(),
            web_searches: within("server_tool_use", "web_search_requests").unwrap_or_default(),
            in_us: usage.get("inference_geo").and_then(Value::as_str).is_some_and(|geo| geo.eq_ignore_ascii_case("us")),
            fast: usage.get("speed").and_then(Value::as_str) == Some("fast"),
            stated_cost_nanos: usage.get("cost").and_then(openai::stated_nanos),
            ..Usage::default()
        }
        .served(usage.get("service_tier").and_then(Value::as_str)),
    )
}

/// Counts of a stream only grow; Anthropic states the input first and the output last.
fn larger(known: Usage, found: Usage) -> Usage {
    Usage {
        input: known.input.max(found.input),
        output: known.output.max(found.output),
        cache_read: known.cache_read.max(found.cache_read),
        cache_write: known.cache_write.max(found.cache_write),
        cache_write_1h: known.cache_write_1h.max(found.cache_write_1h),
        reasoning: known.reasoning.max(found.reasoning),
        audio_input: known.audio_input.max(found.audio_input),
        audio_output: known.audio_output.max(found.audio_output),
        cache_read_audio: known.cache_read_audio.max(found.cache_read_audio),
        image_input: known.image_input.max(found.image_input),
        image_output: known.image_output.max(found.image_output),
        searches: known.searches.max(found.searches),
        web_searches: known.web_searches.max(found.web_searches),
        tier: found.tier.or(known.tier),
        in_us: known.in_us || found.in_us,
        fast: known.fast || found.fast,
        stated_cost_nanos: found.stated_cost_nanos.or(known.stated_cost_nanos),
        ..known
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(content_type: &str, bytes: &[u8]) -> Reading {
        let mut gauge = Gauge::of(content_type);
        for byte in bytes {
            gauge.push(&[*byte]);
        }
        gauge.finish();
        gauge.reading().clone()
    }

    fn counts(document: &Value) -> Option<(u64, u64, u64)> {
        let usage = read("application/json; charset=utf-8", document.to_string().as_bytes()).usage?;
        Some((usage.input, usage.output, usage.cache_read))
    }

    #[test]
    fn every_providers_words_for_usage_are_read() {
        let check = |document: Value, expected| assert_eq!(counts(&document), expected, "{document}");
        check(json!({"usage": {"prompt_tokens": 5, "completion_tokens": 2}}), Some((5, 2, 0)));
        check(
            json!({"usage": {"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 3}}}),
            Some((5, 2, 3)),
        );
        check(json!({"usage": {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 3}}), Some((8, 2, 3)));
        check(
            json!({"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 4}}),
            Some((5, 6, 0)),
        );
        check(json!([{"usageMetadata": {"promptTokenCount": 5}}]), Some((5, 0, 0)));
        check(json!({"usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}}), Some((5, 2, 0)));
        check(json!({"usage": {"tokens": {"input_tokens": 5, "output_tokens": 2}}}), Some((5, 2, 0)));
        check(json!({"meta": {"billed_units": {"input_tokens": 5, "output_tokens": 2}}}), Some((5, 2, 0)));
        check(json!({"id": "file-1", "usage": null}), None);
        assert_eq!(read("text/plain", b"{\"usage\":{\"prompt_tokens\":5}}"), Reading::default());
    }

    #[test]
    fn what_was_heard_is_read_from_either_word_for_it() {
        let heard = |document: Value| read("application/json", document.to_string().as_bytes()).heard_millis;
        assert_eq!(heard(json!({"text": "a", "usage": {"type": "duration", "seconds": 9}})), Some(9000));
        assert_eq!(heard(json!({"text": "a", "duration": 1.5})), Some(1500));
        assert_eq!(heard(json!({"text": "a", "duration": "1.5"})), Some(1500));
        assert_eq!(heard(json!({"duration": 1.5})), None);
    }

    #[test]
    fn the_words_of_every_shape_are_heard_once() {
        let said = |document: Value| read("application/json", document.to_string().as_bytes()).said;
        for document in [
            json!({"id": "c", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}]}),
            json!({"choices": [{"delta": {"content": "hi"}, "finish_reason": null}]}),
            json!({"choices": [{"delta": {"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "hi"}}]}}]}),
            json!({"type": "message", "content": [{"type": "text", "text": "hi"}]}),
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}}),
            json!([{"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}}]}]),
            json!({"contentBlockIndex": 0, "delta": {"text": "hi"}}),
            json!({"object": "response", "instructions": "x", "output": [{"content": [{"type": "output_text", "text": "hi"}]}]}),
            json!({"type": "response.output_text.delta", "delta": "hi"}),
        ] {
            assert_eq!(said(document.clone()), "hi", "{document}");
        }
        for again in [
            json!({"type": "response.output_text.done", "text": "hi"}),
            json!({"type": "response.completed", "response": {"output": [{"content": [{"text": "hi"}]}]}}),
        ] {
            assert_eq!(said(again.clone()), "", "{again}");
        }
    }

    #[test]
    fn a_stream_is_read_wherever_it_is_cut() {
        let stream = "event: message_start\ndata: {\"message\":{\"model\":\"claude\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n\
            data: {\"delta\":{}}\n\nevent: message_delta\ndata: {\"usage\":{\"output_tokens\":9}}\n\n";
        let reading = read("text/event-stream", stream.as_bytes());
        let usage = reading.usage.unwrap();
        assert_eq!((usage.input, usage.output, reading.model.as_deref()), (7, 9, Some("claude")));
    }
}

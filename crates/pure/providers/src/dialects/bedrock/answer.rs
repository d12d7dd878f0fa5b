//! Converse's whole answers, and its counts.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatRequest, ChatResponse, Choice, Extras, Finish, Part, ToolCall},
};

use super::names;
use crate::{
    dialects::{anthropic::structured::Form, renamed::Renamed},
    target::Target,
};

/// Reads an answer with status below 400.
///
/// # Errors
/// When it is not an answer.
pub(super) fn read(body: &Value, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
    let Some(blocks) = body.pointer("/output/message/content").and_then(Value::as_array) else {
        return Err(target.failure(FailureKind::InvalidResponse, "the answer has no content"));
    };
    let mut answer = Answer::new(request, target);
    blocks.iter().enumerate().for_each(|(place, block)| answer.block(place, block));
    let mut counts = Counts::default();
    let usage = body.get("usage").filter(|usage| usage.is_object()).inspect(|usage| counts.take(usage));
    counts.thoughts(body);
    let mut extras = Extras::new();
    if let Some(trace) = body.get("trace").filter(|trace| !trace.is_null()) {
        extras.insert("trace".to_owned(), trace.clone());
    }
    if let Some(tier) = body.pointer("/serviceTier/type") {
        extras.insert("service_tier".to_owned(), tier.clone());
    }
    Ok(ChatResponse {
        choices: vec![answer.finish(body.get("stopReason").and_then(Value::as_str))],
        usage: usage.map(|_| counts.usage().served(body.pointer("/serviceTier/type").and_then(Value::as_str))),
        usage_extras: if usage.is_some() { counts.extras() } else { Extras::new() },
        extras,
        ..ChatResponse::default()
    })
}

/// Converse's reasons in our words; its own word where we have none.
pub(super) fn finish(word: Option<&str>) -> (Finish, Option<String>) {
    match word {
        None | Some("end_turn" | "stop_sequence") => (Finish::Stop, None),
        Some("max_tokens" | "model_context_window_exceeded") => (Finish::Length, None),
        Some("tool_use") => (Finish::ToolCalls, None),
        Some("guardrail_intervened" | "content_filtered") => (Finish::ContentFilter, None),
        Some(other) => (Finish::Stop, Some(other.to_owned())),
    }
}

/// An answer that is being read.
struct Answer {
    form: Form,
    renamed: Renamed,
    parts: Vec<Part>,
    calls: bool,
    formed: bool,
    thoughts: Vec<Value>,
    cited: Vec<Value>,
}

impl Answer {
    fn new(request: &ChatRequest, target: &Target) -> Self {
        Self {
            form: Form::of(request, target),
            renamed: Renamed::of(request, names::tool),
            parts: Vec::new(),
            calls: false,
            formed: false,
            thoughts: Vec::new(),
            cited: Vec::new(),
        }
    }

    fn block(&mut self, place: usize, block: &Value) {
        let text = |pointer: &str| block.pointer(pointer).and_then(Value::as_str);
        if let Some(words) = text("/text") {
            self.parts.push(Part::text(words));
        } else if let Some(call) = block.get("toolUse") {
            self.call(place, call);
        } else if let Some(thought) = block.get("reasoningContent") {
            self.thoughts.push(thought.clone());
            self.parts.push(match text("/reasoningContent/redactedContent") {
                Some(data) => Part::RedactedThinking { data: data.to_owned() },
                None => Part::Thinking {
                    text: text("/reasoningContent/reasoningText/text").unwrap_or_default().to_owned(),
                    signature: text("/reasoningContent/reasoningText/signature").map(str::to_owned),
                },
            });
        } else if let Some(cited) = block.get("citationsContent") {
            let pieces = cited.get("content").and_then(Value::as_array).into_iter().flatten();
            let words: String = pieces.filter_map(|piece| piece.get("text")?.as_str()).collect();
            self.parts.push(Part::text(words));
            self.cited.push(cited.clone());
        } else {
            self.parts.push(Part::Opaque { dialect: "bedrock", raw: block.clone() });
        }
    }

    fn call(&mut self, place: usize, call: &Value) {
        let text = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default();
        let input = call.get("input").cloned().unwrap_or_else(|| json!({}));
        if self.form.is_answer(text("name")) {
            self.formed = true;
            self.parts.push(Part::text(self.form.unwrap(&input)));
            return;
        }
        // LiteLLM counts calls by their place among all blocks.
        let extras = Map::from_iter([("index".to_owned(), place.into())]);
        self.calls = true;
        self.parts.push(Part::ToolCall(ToolCall {
            id: text("toolUseId").to_owned(),
            name: self.renamed.back(text("name")),
            arguments: input.to_string(),
            extras,
        }));
    }

    fn finish(mut self, reason: Option<&str>) -> Choice {
        let (mut finish, native_finish) = finish(reason);
        if self.formed && !self.calls && finish == Finish::ToolCalls {
            finish = Finish::Stop;
        }
        // An answer without words is empty text for LiteLLM's clients, not null.
        if !self.parts.iter().any(|part| matches!(part, Part::Text { .. })) {
            self.parts.push(Part::text(""));
        }
        let mut message_extras = Extras::new();
        let thoughts = self.parts.iter().filter_map(thinking_block).collect::<Vec<_>>();
        if !thoughts.is_empty() {
            // With those that have no seal, which other providers' answers leave out.
            message_extras.insert("thinking_blocks".to_owned(), thoughts.into());
            let readable =
                self.parts.iter().any(|part| matches!(part, Part::Thinking { text, .. } if !text.is_empty()));
            if !readable {
                message_extras.insert("reasoning_content".to_owned(), "".into());
            }
        }
        let mut specific = Map::new();
        for (name, list) in [("reasoningContentBlocks", self.thoughts), ("citationsContent", self.cited)] {
            if !list.is_empty() {
                specific.insert(name.to_owned(), list.into());
            }
        }
        if !specific.is_empty() {
            message_extras.insert("provider_specific_fields".to_owned(), specific.into());
        }
        Choice { index: 0, parts: self.parts, finish, native_finish, extras: Extras::new(), message_extras }
    }
}

fn thinking_block(part: &Part) -> Option<Value> {
    match part {
        Part::Thinking { text, signature: Some(signature) } => {
            Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        Part::Thinking { text, signature: None } => Some(json!({"type": "thinking", "thinking": text})),
        Part::RedactedThinking { data } => Some(json!({"type": "redacted_thinking", "data": data})),
        _ => None,
    }
}

/// What Bedrock has counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    uncached: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    reasoning: u64,
}

impl Counts {
    pub(super) fn take(&mut self, usage: &Value) {
        let count = |names: &[&str]| names.iter().find_map(|name| usage.get(*name)?.as_u64()).unwrap_or_default();
        self.uncached = count(&["inputTokens"]);
        self.output = count(&["outputTokens"]);
        self.cache_read = count(&["cacheReadInputTokens", "cacheReadInputTokenCount"]);
        self.cache_write = count(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
        let details = usage.get("cacheDetails").and_then(Value::as_array).into_iter().flatten();
        let long = details.filter(|detail| detail.get("ttl").is_some_and(|ttl| ttl == "1h"));
        self.cache_write_1h = long.filter_map(|detail| detail.get("inputTokens")?.as_u64()).sum();
    }

    /// What Claude says about its thoughts, where it was asked to.
    pub(super) fn thoughts(&mut self, body: &Value) {
        let details = body.pointer("/additionalModelResponseFields/usage/output_tokens_details");
        let count = |name: &str| details.and_then(|details| details.get(name)).and_then(Value::as_u64);
        if let Some(count) = count("thinking_tokens").or_else(|| count("reasoning_tokens")) {
            self.reasoning = count;
        }
    }

    /// In our convention. Bedrock counts cached tokens apart from input tokens; our input includes them.
    pub(super) fn usage(&self) -> Usage {
        let long = self.cache_write_1h.min(self.cache_write);
        Usage {
            input: self.uncached.saturating_add(self.cache_read).saturating_add(self.cache_write),
            output: self.output,
            cache_read: self.cache_read,
            cache_write: self.cache_write - long,
            cache_write_1h: long,
            reasoning: self.reasoning.min(self.output),
            ..Usage::default()
        }
    }

    /// What `LiteLLM`'s clients read beyond the three totals.
    pub(super) fn extras(&self) -> Extras {
        let usage = self.usage();
        let text = usage.output - usage.reasoning;
        let mut out = Map::new();
        let output = json!({"reasoning_tokens": usage.reasoning, "text_tokens": text});
        out.insert("completion_tokens_details".to_owned(), output);
        out.insert(
            "prompt_tokens_details".to_owned(),
            json!({"cached_tokens": self.cache_read, "cache_creation_tokens": self.cache_write,
                "cache_write_tokens": self.cache_write, "text_tokens": self.uncached}),
        );
        out.insert("cache_creation_input_tokens".to_owned(), self.cache_write.into());
        out.insert("cache_read_input_tokens".to_owned(), self.cache_read.into());
        out
    }
}

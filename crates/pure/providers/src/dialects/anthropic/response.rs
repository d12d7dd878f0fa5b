//! Anthropic's whole answers.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatRequest, ChatResponse, Choice, Extras, Finish, Part, Role, ToolCall},
};

use super::{failure::in_band, names, structured::Form, usage::Counts};
use crate::{dialects::renamed::Renamed, target::Target};

/// Reads an answer with status below 400.
///
/// # Errors
/// When it is not an answer, or holds an error.
pub fn read_answer(body: &[u8], request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
    let invalid = |text: String| target.failure(FailureKind::InvalidResponse, text);
    let body: Value =
        serde_json::from_slice(body).map_err(|error| invalid(format!("the answer is no JSON: {error}")))?;
    if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
        return Err(in_band(error, target));
    }
    let Some(blocks) = body.get("content").and_then(Value::as_array) else {
        return Err(invalid("the answer has no content".to_owned()));
    };
    let mut answer = Answer::new(request, target);
    for (place, block) in blocks.iter().enumerate() {
        answer.block(place, block);
    }
    for name in ["container", "context_management"] {
        if let Some(value) = body.get(name).filter(|value| !value.is_null()) {
            answer.specific.insert(name.to_owned(), value.clone());
        }
    }
    let mut counts = Counts::default();
    let usage = body.get("usage").inspect(|usage| counts.take(usage));
    Ok(ChatResponse {
        // Clients are used to ids of OpenAI's form, which the writer makes.
        id: String::new(),
        model: body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
        created: None,
        choices: vec![answer.finish(body.get("stop_reason").and_then(Value::as_str), request)],
        usage: usage.map(|_| counts.usage()),
        usage_extras: if usage.is_some() { counts.extras() } else { Extras::new() },
        extras: Extras::new(),
    })
}

/// Anthropic's reasons in our words; its own word where we have none.
pub(super) fn finish(word: Option<&str>) -> (Finish, Option<String>) {
    match word {
        None | Some("end_turn" | "stop_sequence" | "pause_turn") => (Finish::Stop, None),
        Some("max_tokens" | "model_context_window_exceeded" | "compaction") => (Finish::Length, None),
        Some("tool_use") => (Finish::ToolCalls, None),
        Some("refusal") => (Finish::ContentFilter, None),
        Some(other) => (Finish::Stop, Some(other.to_owned())),
    }
}

/// Under which of `LiteLLM`'s members the result of a tool of Anthropic's own is told; `None` for what is no result.
pub(super) fn result_list(kind: &str) -> Option<&'static str> {
    match kind {
        "web_search_tool_result" | "web_fetch_tool_result" => Some("web_search_results"),
        kind if kind.ends_with("_tool_result") => Some("tool_results"),
        _ => None,
    }
}

/// An answer that is being read.
struct Answer {
    form: Form,
    renamed: Renamed,
    parts: Vec<Part>,
    calls: bool,
    formed: bool,
    citations: Vec<Value>,
    thoughts: Vec<Value>,
    searches: Vec<(String, Value)>,
    specific: Map<String, Value>,
}

impl Answer {
    fn new(request: &ChatRequest, target: &Target) -> Self {
        Self {
            form: Form::of(request, target),
            renamed: Renamed::of(request, names::tool),
            parts: Vec::new(),
            calls: false,
            formed: false,
            citations: Vec::new(),
            thoughts: Vec::new(),
            searches: Vec::new(),
            specific: Map::new(),
        }
    }

    fn block(&mut self, place: usize, block: &Value) {
        let text = |name: &str| block.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "text" => self.text(text("text").unwrap_or_default(), block.get("citations")),
            "thinking" => {
                self.thoughts.push(block.clone());
                let (text, signature) = (text("thinking").unwrap_or_default(), text("signature"));
                self.parts.push(Part::Thinking { text, signature });
            }
            "redacted_thinking" => {
                self.thoughts.push(block.clone());
                self.parts.push(Part::RedactedThinking { data: text("data").unwrap_or_default() });
            }
            "tool_use" | "server_tool_use" => self.call(place, kind, block),
            _ => {
                if let Some(list) = result_list(kind) {
                    push(&mut self.specific, list, block.clone());
                }
                self.parts.push(Part::Opaque { dialect: "anthropic", raw: block.clone() });
            }
        }
    }

    fn text(&mut self, text: String, citations: Option<&Value>) {
        let mut extras = Extras::new();
        if let Some(citations) = citations.filter(|citations| !citations.is_null()) {
            extras.insert("citations".to_owned(), citations.clone());
            let cited = citations.as_array().into_iter().flatten().map(|citation| with_text(citation, &text));
            self.citations.push(cited.collect());
        }
        self.parts.push(Part::Text { text, extras });
    }

    fn call(&mut self, place: usize, kind: &str, block: &Value) {
        let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
        let input = block.get("input").cloned().unwrap_or_else(|| json!({}));
        if kind == "tool_use" && self.form.is_answer(text("name")) {
            self.formed = true;
            self.parts.push(Part::text(self.form.unwrap(&input)));
            return;
        }
        self.calls |= kind == "tool_use";
        if kind == "server_tool_use" && text("name") == "web_search" {
            self.searches.push((text("id").to_owned(), input.clone()));
        }
        self.parts.push(Part::ToolCall(ToolCall {
            id: text("id").to_owned(),
            name: self.renamed.back(text("name")),
            arguments: input.to_string(),
            // LiteLLM counts calls by their place among all blocks.
            extras: Map::from_iter([("index".to_owned(), place.into())]),
        }));
    }

    fn finish(mut self, reason: Option<&str>, request: &ChatRequest) -> Choice {
        let (mut finish, native_finish) = finish(reason);
        if self.formed && !self.calls && finish == Finish::ToolCalls {
            finish = Finish::Stop;
        }
        self.prepend(request);
        let searches: Vec<Value> =
            self.searches.iter().map(|(id, input)| search_call(id, input, &self.specific)).collect();
        let lists = [("citations", self.citations), ("thinking_blocks", self.thoughts), ("web_search_calls", searches)];
        for (name, list) in lists {
            if !list.is_empty() {
                self.specific.insert(name.to_owned(), list.into());
            }
        }
        let mut message_extras = Extras::new();
        if !self.specific.is_empty() {
            message_extras.insert("provider_specific_fields".to_owned(), self.specific.into());
        }
        Choice { index: 0, parts: self.parts, finish, native_finish, extras: Extras::new(), message_extras }
    }

    /// Words that the client put into the model's mouth (`"prefix": true`) belong to the answer.
    fn prepend(&mut self, request: &ChatRequest) {
        let Some(last) = request.messages.last().filter(|message| message.role == Role::Assistant) else { return };
        let (true, [Part::Text { text: prefix, .. }]) =
            (last.extras.get("prefix") == Some(&Value::Bool(true)), last.parts.as_slice())
        else {
            return;
        };
        let text =
            self.parts.iter_mut().find_map(|part| if let Part::Text { text, .. } = part { Some(text) } else { None });
        if let Some(text) = text.filter(|text| !text.starts_with(prefix.as_str())) {
            text.insert_str(0, prefix);
        }
    }
}

fn push(specific: &mut Map<String, Value>, list: &str, block: Value) {
    if let Value::Array(items) = specific.entry(list).or_insert_with(|| json!([])) {
        items.push(block);
    }
}

fn with_text(citation: &Value, text: &str) -> Value {
    let mut citation = citation.clone();
    if let Some(members) = citation.as_object_mut() {
        members.insert("supported_text".to_owned(), text.into());
    }
    citation
}

/// A search in the words of `OpenAI`'s Responses API, as `LiteLLM` tells it.
fn search_call(id: &str, input: &Value, specific: &Map<String, Value>) -> Value {
    let query = input.get("query").cloned().unwrap_or_default();
    let results = specific.get("web_search_results").and_then(Value::as_array).into_iter().flatten();
    let found = results
        .filter(|result| result.get("tool_use_id").and_then(Value::as_str) == Some(id))
        .find_map(|result| result.get("content")?.as_array());
    let sources: Vec<Value> = found
        .into_iter()
        .flatten()
        .filter_map(|result| Some(json!({"type": "url", "url": result.get("url")?})))
        .collect();
    let status = if found.is_some() { "completed" } else { "failed" };
    json!({"id": search_id(id), "type": "web_search_call", "status": status,
        "action": {"type": "search", "query": query, "queries": [query], "sources": sources}})
}

/// An id in `OpenAI`'s form out of Anthropic's: the same for the same call (FNV-1a of 128 bits).
fn search_id(id: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = id.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("ws_{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_reason_has_a_word() {
        assert_eq!(finish(None), (Finish::Stop, None));
        assert_eq!(finish(Some("model_context_window_exceeded")), (Finish::Length, None));
        assert_eq!(finish(Some("refusal")), (Finish::ContentFilter, None));
        assert_eq!(finish(Some("of_tomorrow")), (Finish::Stop, Some("of_tomorrow".to_owned())));
    }

    #[test]
    fn the_id_of_a_search_depends_on_the_call_alone() {
        assert_eq!(search_id(""), "ws_6c62272e07bb014262b821756295c58d");
        assert_eq!(search_id("srvtoolu_1"), search_id("srvtoolu_1"));
        assert_ne!(search_id("srvtoolu_1"), search_id("srvtoolu_2"));
    }
}

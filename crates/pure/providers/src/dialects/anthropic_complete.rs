//! Anthropic's text completion of 2023, which `claude-2` and `claude-instant-1` speak: the conversation becomes one
//! prompt, and nobody counts tokens.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, RawBody,
    chat::{ChatChunk, ChatRequest, ChatResponse, Choice, Delta, Extras, Finish, Message, Part, Role},
    framing::Frame,
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::anthropic,
    target::Target,
};

/// The dialect of `/v1/complete`.
pub static COMPLETE: Complete = Complete;

/// Longest answer where the client says none, tokens; `LiteLLM`'s default.
const DEFAULT_MAX_TOKENS: u64 = 4096;
const HUMAN: &str = "\n\nHuman: ";
const ASSISTANT: &str = "\n\nAssistant:";

/// `OpenAI`'s parameters that this dialect has a word for.
pub const TAKES: &[&str] =
    &["stop", "max_tokens", "max_completion_tokens", "temperature", "top_p", "user", "extra_headers"];

/// The dialect, if the model knows no other.
#[must_use]
pub fn of_model(target: &Target) -> Option<&'static dyn ProviderDialect> {
    let old = target.model == "claude-2" || target.model.starts_with("claude-instant");
    old.then_some(&COMPLETE as &dyn ProviderDialect)
}

/// See [`COMPLETE`].
#[derive(Debug)]
pub struct Complete;

impl ProviderDialect for Complete {
    fn words(&self) -> Words {
        Words::AnthropicComplete
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = json!({"model": target.model, "prompt": prompt(&request.messages),
            "max_tokens_to_sample": request.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS)});
        if let Some(members) = body.as_object_mut() {
            add_params(request, members);
        }
        let body = body.to_string().into();
        let url = anthropic::url(target, target.provider.completions_path);
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |text: &str| target.failure(FailureKind::InvalidResponse, text);
        let body = RawBody::parse(&reply.body).map_err(|_| invalid("the answer is no JSON object"))?;
        if let Some(error) = body.typed::<Value>("error") {
            return Err(anthropic::in_band(&error, target));
        }
        let Some(text) = body.typed::<String>("completion") else {
            return Err(invalid("the answer has no completion"));
        };
        let (finish, native_finish) = finish(body.typed::<String>("stop_reason").as_deref());
        let choice = Choice {
            index: 0,
            parts: vec![Part::text(text)],
            finish,
            native_finish,
            extras: Extras::new(),
            message_extras: Extras::new(),
        };
        let model = body.typed("model").unwrap_or_default();
        Ok(ChatResponse { model, choices: vec![choice], ..ChatResponse::default() })
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(CompletionReader { target: target.clone(), started: false, done: false })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        anthropic::failure(reply, target)
    }
}

fn add_params(request: &ChatRequest, body: &mut Map<String, Value>) {
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("stop_sequences", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    set("temperature", request.temperature.clone().map(Value::Number));
    set("top_p", request.top_p.clone().map(Value::Number));
    set("metadata", request.user.as_ref().map(|user| json!({ "user_id": user })));
    set("stream", request.stream.then_some(Value::Bool(true)));
    for (name, value) in &request.extras {
        body.entry(name.as_str()).or_insert_with(|| value.clone());
    }
}

/// The conversation as one prompt, which must begin with the human and end where the model goes on.
pub(super) fn prompt(messages: &[Message]) -> String {
    let mut prompt = String::new();
    for message in messages {
        let said = words(&message.parts);
        match message.role {
            // What Anthropic taught these models to take as the operator's words.
            Role::System => prompt.extend([HUMAN, "<admin>", &said, "</admin>"]),
            Role::User | Role::Tool => prompt.extend([HUMAN, &said]),
            Role::Assistant => {
                if prompt.is_empty() {
                    prompt.push_str(HUMAN);
                }
                prompt.extend([ASSISTANT, " ", &said]);
            }
        }
    }
    if prompt.is_empty() {
        prompt.push_str(HUMAN);
    }
    if messages.last().is_none_or(|message| message.role != Role::Assistant) {
        prompt.push_str(ASSISTANT);
    }
    prompt
}

pub(super) fn words(parts: &[Part]) -> String {
    let said = parts.iter().map(|part| match part {
        Part::Text { text, .. } | Part::Refusal(text) => text.clone(),
        Part::ToolResult { parts, .. } => words(parts),
        _ => String::new(),
    });
    said.collect()
}

fn finish(word: Option<&str>) -> (Finish, Option<String>) {
    match word {
        None | Some("stop_sequence") => (Finish::Stop, None),
        Some("max_tokens") => (Finish::Length, None),
        Some(other) => (Finish::Stop, Some(other.to_owned())),
    }
}

/// Reads a stream of completions, each a piece of the answer; the last says why it stopped.
struct CompletionReader {
    target: Target,
    started: bool,
    done: bool,
}

impl ChatDecoder for CompletionReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() {
            return Ok(());
        }
        let event = self.target.event(data)?;
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            return Err(anthropic::in_band(error, &self.target));
        }
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        // Pings have none.
        let Some(said) = text("completion") else { return Ok(()) };
        if !self.started {
            self.started = true;
            out.push(ChatChunk::Start { id: String::new(), model: text("model").unwrap_or_default().to_owned() });
        }
        if !said.is_empty() {
            out.push(ChatChunk::Delta { choice: 0, delta: Delta::Text(said.to_owned()) });
        }
        if let Some(word) = text("stop_reason") {
            let (finish, native) = finish(Some(word));
            out.push(ChatChunk::Finish { choice: 0, finish, native });
            self.done = true;
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if self.done { Ok(()) } else { Err(self.target.unfinished(self.started)) }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &[(Role, &str)], expected: &str) {
        let messages: Vec<Message> = said
            .iter()
            .map(|(role, text)| Message {
                role: *role,
                parts: vec![Part::text(*text)],
                name: None,
                extras: Extras::new(),
            })
            .collect();
        assert_eq!(prompt(&messages), expected);
    }

    #[test]
    fn a_prompt_begins_with_the_human_and_ends_where_the_model_goes_on() {
        check(&[(Role::User, "a")], "\n\nHuman: a\n\nAssistant:");
        check(
            &[(Role::System, "s"), (Role::User, "a"), (Role::Assistant, "b"), (Role::User, "c")],
            "\n\nHuman: <admin>s</admin>\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:",
        );
        check(&[(Role::Assistant, "b")], "\n\nHuman: \n\nAssistant: b");
        check(&[], "\n\nHuman: \n\nAssistant:");
    }
}

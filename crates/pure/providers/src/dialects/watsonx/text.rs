//! Text generation: the conversation becomes one prompt in the model's own form.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatChunk, ChatRequest, ChatResponse, Choice, Delta, Extras, Finish, Message, Part, Role},
    framing::Frame,
    http::{Outgoing, Reply},
};

use super::{place, url};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::openai,
    target::Target,
};

/// The dialect of `/ml/v1/text/generation`.
pub static TEXT: Text = Text;

/// See [`TEXT`].
#[derive(Debug)]
pub struct Text;

/// Extras that stand beside the parameters.
const BESIDE: &str = "moderations";

impl ProviderDialect for Text {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = place(target);
        body.insert("input".to_owned(), prompt(&request.messages, &target.model).into());
        body.insert("moderations".to_owned(), request.extra(BESIDE).cloned().unwrap_or_else(|| json!({})));
        body.insert("parameters".to_owned(), parameters(request).into());
        let url = url(target, if request.stream { "text/generation_stream" } else { "text/generation" });
        let body = Value::Object(body).to_string().into();
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |words: &str| target.failure(FailureKind::InvalidResponse, words);
        let body: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid("the answer is no JSON"))?;
        let Some(result) = body.get("results").and_then(|results| results.get(0)) else {
            return Err(invalid("the answer has no results"));
        };
        let (finish, native_finish) = finish(text(result, "stop_reason")).unwrap_or((Finish::Stop, None));
        let parts = vec![Part::text(text(result, "generated_text"))];
        let choice =
            Choice { index: 0, parts, finish, native_finish, extras: Extras::new(), message_extras: Extras::new() };
        let mut counts = Counts::default();
        counts.take(result);
        Ok(ChatResponse { choices: vec![choice], usage: Some(counts.0), ..ChatResponse::default() })
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(ResultReader { target: target.clone(), counts: Counts::default(), started: false, done: false })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

fn parameters(request: &ChatRequest) -> Map<String, Value> {
    let mut out = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    set("temperature", request.temperature.clone().map(Value::Number));
    set("top_p", request.top_p.clone().map(Value::Number));
    set("max_new_tokens", request.max_output_tokens.map(Value::from));
    set("stop_sequences", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    for (name, value) in request.extras.iter().filter(|(name, _)| *name != BESIDE) {
        let name = match name.as_str() {
            "frequency_penalty" => "repetition_penalty",
            "seed" => "random_seed",
            "min_tokens" => "min_new_tokens",
            name => name,
        };
        set(name, Some(value.clone()));
    }
    out
}

/// How a family of models marks who speaks.
struct Marks {
    begin: &'static str,
    system: (&'static str, &'static str),
    user: (&'static str, &'static str),
    assistant: (&'static str, &'static str),
    end: &'static str,
}

const GRANITE: Marks = Marks {
    begin: "",
    system: ("<|system|>\n", "\n"),
    user: ("<|user|>\n", "\n"),
    assistant: ("<|assistant|>\n", "\n"),
    end: "<|assistant|>\n",
};
const LLAMA: Marks = Marks {
    begin: "<|begin_of_text|>",
    system: ("<|start_header_id|>system<|end_header_id|>\n", "<|eot_id|>"),
    user: ("<|start_header_id|>user<|end_header_id|>\n", "<|eot_id|>"),
    assistant: ("<|start_header_id|>assistant<|end_header_id|>\n", "<|eot_id|>"),
    end: "<|start_header_id|>assistant<|end_header_id|>\n",
};
const MISTRAL: Marks = Marks {
    begin: "<s>",
    system: ("[INST] \n", " [/INST]\n"),
    user: ("[INST] ", " [/INST]\n"),
    assistant: (" ", "</s> "),
    end: "",
};
/// Models of no known form, and those that only continue a text.
const PLAIN: Marks = Marks { begin: "", system: ("", "\n"), user: ("", "\n"), assistant: ("", "\n"), end: "" };

fn marks(model: &str) -> &'static Marks {
    if model.contains("granite") && (model.contains("chat") || model.contains("instruct")) {
        &GRANITE
    } else if model.contains("llama-3") {
        &LLAMA
    } else if model.contains("mistral") || model.contains("mixtral") {
        &MISTRAL
    } else {
        &PLAIN
    }
}

fn prompt(messages: &[Message], model: &str) -> String {
    let marks = marks(model);
    let mut prompt = marks.begin.to_owned();
    for message in messages {
        let (before, after) = match message.role {
            Role::System => marks.system,
            Role::User | Role::Tool => marks.user,
            Role::Assistant => marks.assistant,
        };
        prompt.extend([before, &words(&message.parts), after]);
    }
    if marks.end.is_empty() && marks.begin.is_empty() {
        prompt.truncate(prompt.trim_end_matches('\n').len());
    }
    prompt.push_str(marks.end);
    prompt
}

fn words(parts: &[Part]) -> String {
    let said = parts.iter().map(|part| match part {
        Part::Text { text, .. } | Part::Refusal(text) => text.clone(),
        Part::ToolResult { parts, .. } => words(parts),
        _ => String::new(),
    });
    said.collect()
}

/// Why it stopped; `None` while it goes on.
fn finish(word: &str) -> Option<(Finish, Option<String>)> {
    match word {
        "" | "not_finished" => None,
        "eos_token" | "stop_sequence" => Some((Finish::Stop, None)),
        "max_tokens" | "token_limit" | "time_limit" => Some((Finish::Length, None)),
        other => Some((Finish::Stop, Some(other.to_owned()))),
    }
}

/// What a result says was used. Of a stream's results each tells the count so far, but the input only once.
#[derive(Default)]
struct Counts(Usage);

impl Counts {
    fn take(&mut self, result: &Value) {
        let count = |name: &str| result.get(name).and_then(Value::as_u64).unwrap_or_default();
        self.0.input = self.0.input.max(count("input_token_count"));
        self.0.output = self.0.output.max(count("generated_token_count"));
    }
}

/// Reads a stream of results.
struct ResultReader {
    target: Target,
    counts: Counts,
    started: bool,
    done: bool,
}

impl ChatDecoder for ResultReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let event = self.target.event(data)?;
        if let Some(error) = event.get("errors").and_then(|errors| errors.get(0)) {
            return Err(self.target.failure(FailureKind::Internal, text(error, "message")));
        }
        let Some(result) = event.get("results").and_then(|results| results.get(0)) else { return Ok(()) };
        if !self.started {
            self.started = true;
            out.push(ChatChunk::Start { id: String::new(), model: text(&event, "model_id").to_owned() });
        }
        let said = text(result, "generated_text");
        if !said.is_empty() {
            out.push(ChatChunk::Delta { choice: 0, delta: Delta::Text(said.to_owned()) });
        }
        self.counts.take(result);
        if let Some((finish, native)) = finish(text(result, "stop_reason")) {
            out.push(ChatChunk::Finish { choice: 0, finish, native });
            out.push(ChatChunk::Usage { usage: self.counts.0, extras: Extras::new() });
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

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_has_the_form_of_its_model() {
        let said =
            |role, text: &str| Message { role, parts: vec![Part::text(text)], name: None, extras: Extras::new() };
        let messages = [said(Role::System, "s"), said(Role::User, "a")];
        assert_eq!(prompt(&messages, "ibm/granite-13b-instruct-v2"), "<|system|>\ns\n<|user|>\na\n<|assistant|>\n");
        assert_eq!(prompt(&messages, "google/flan-ul2"), "s\na");
        assert_eq!(prompt(&messages[1..], "mistralai/mixtral-8x7b"), "<s>[INST] a [/INST]\n");
    }
}

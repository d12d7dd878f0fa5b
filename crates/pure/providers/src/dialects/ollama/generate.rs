//! `/api/generate`: one prompt, its pictures beside it.

use http::Method;
use serde_json::{Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatChunk, ChatRequest, ChatResponse, Delta, Message, Part, Role},
    framing::{Frame, Framing},
    http::{Outgoing, Reply},
};

use super::{finish, headers, no_extras, pictures, pictures_elsewhere, read, shared, usage};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Wanted, Words},
    dialects::{
        openai, prompt,
        text_answer::{self, Parting, Telling},
    },
    target::Target,
};

/// Chat.
pub static CHAT: Generate = Generate { raw: false };
/// Text completion: the client's own prompt.
pub static COMPLETE: Generate = Generate { raw: true };

/// Path below the address.
const PATH: &str = "/api/generate";

/// See [`CHAT`] and [`COMPLETE`].
#[derive(Debug)]
pub struct Generate {
    raw: bool,
}

impl ProviderDialect for Generate {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, request: &ChatRequest, target: &Target) -> Vec<Wanted> {
        let mut wanted = pictures_elsewhere(request);
        if !self.raw {
            wanted.extend(prompt::wants(target));
        }
        wanted
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let has_template =
            target.template.as_deref().is_some_and(|template| template != &prompt::PromptTemplate::default());
        let prompt = match (self.raw, has_template) {
            (true, _) => prompt::raw(request),
            (false, true) => prompt::write(request, target)?,
            // The server frames what it is given with its own template of the model.
            (false, false) => headed(&request.messages),
        };
        let mut body = shared(request, target);
        body.insert("model".to_owned(), target.model.as_str().into());
        body.insert("prompt".to_owned(), prompt.into());
        let mut images = Vec::new();
        for message in &request.messages {
            images.extend(pictures(message)?);
        }
        if !images.is_empty() {
            body.insert("images".to_owned(), json!(images));
        }
        let body = Value::Object(body).to_string().into();
        Ok(Outgoing { method: Method::POST, url: target.url(PATH), headers: headers(target)?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let told = read(&reply.body, target)?;
        let text = |name: &str| told.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (marked, words) = text_answer::thoughts_and_words(text("response").unwrap_or_default());
        let mut parts = Vec::new();
        if let Some(thoughts) = text("thinking").or(marked) {
            parts.push(Part::Thinking { text: thoughts.to_owned(), signature: None });
        }
        parts.push(Part::text(words));
        let (finish, native) = finish(&told);
        let choices = vec![text_answer::choice(0, parts, finish, native)];
        Ok(ChatResponse { choices, usage: usage(&told), ..ChatResponse::default() })
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::Lines
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(Reader { target: target.clone(), telling: Telling::default(), parting: Parting::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// The turns under headings, neighbours of one speaker under one. What tools answered is the user's.
fn headed(messages: &[Message]) -> String {
    let mut prompt = String::new();
    let mut last = None;
    for message in messages {
        let heading = match message.role {
            Role::System => "System",
            Role::User | Role::Tool => "User",
            Role::Assistant => "Assistant",
        };
        let words = prompt::said(&message.parts) + &calls(&message.parts);
        if words.is_empty() {
            continue;
        }
        if last != Some(heading) {
            if last.is_some() {
                prompt.push_str("\n\n");
            }
            prompt.extend(["### ", heading, ":\n"]);
            last = Some(heading);
        }
        prompt.push_str(&words);
    }
    if last.is_some() {
        prompt.push_str("\n\n");
    }
    prompt
}

/// Earlier calls of tools as words, since a prompt has no other place for them.
fn calls(parts: &[Part]) -> String {
    let calls: Vec<Value> = parts
        .iter()
        .filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None })
        .map(|call| {
            let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
            json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
        })
        .collect();
    if calls.is_empty() {
        return String::new();
    }
    format!("Tool Calls: {}", serde_json::to_string_pretty(&calls).unwrap_or_default())
}

/// Reads a stream of pieces.
struct Reader {
    target: Target,
    telling: Telling,
    parting: Parting,
}

impl ChatDecoder for Reader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let told = read(&frame.data, &self.target)?;
        let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
        if !text("thinking").is_empty() {
            self.telling.say(Delta::Thinking(text("thinking").to_owned()), out);
        }
        self.telling.words("", out);
        for delta in self.parting.push(text("response")) {
            self.telling.say(delta, out);
        }
        if told.get("done").and_then(Value::as_bool) == Some(true) {
            if let Some(rest) = self.parting.rest() {
                self.telling.say(rest, out);
            }
            let (finish, native) = finish(&told);
            self.telling.end(finish, native, out);
            if let Some(usage) = usage(&told) {
                out.push(ChatChunk::Usage { usage, extras: no_extras() });
            }
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        self.telling.close(&self.target)
    }

    fn is_done(&self) -> bool {
        self.telling.is_over()
    }
}

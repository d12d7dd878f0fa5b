//! `/api/generate`: one prompt, its pictures beside it.

use std::borrow::Cow;

use http::Method;
use serde_json::{Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatChunk, ChatRequest, ChatResponse, Delta, Finish, Message, Part, Role},
    framing::{Frame, Framing},
    http::{Outgoing, Reply},
};

use super::{
    calls::{self, Offered},
    end, finish, headers, no_extras, pictures, pictures_elsewhere, read, shared, usage,
};
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
        let offered = Offered::of(request);
        let prompt = match (self.raw, has_template) {
            (true, _) => prompt::raw(request),
            (false, true) => prompt::write(&told_functions(request, &offered), target)?,
            // The server frames what it is given with its own template of the model.
            (false, false) => headed(&request.messages, offered.words().as_deref()),
        };
        let mut body = shared(request, target);
        if !self.raw && !offered.is_empty() {
            // The only way to hold a model to the form of a call.
            body.entry("format").or_insert_with(|| "json".into());
        }
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

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let told = read(&reply.body, target)?;
        let text = |name: &str| told.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (marked, words) = text_answer::thoughts_and_words(text("response").unwrap_or_default());
        let mut parts = Vec::new();
        if let Some(thoughts) = text("thinking").or(marked) {
            parts.push(Part::Thinking { text: thoughts.to_owned(), signature: None });
        }
        let (mut finish, native) = finish(&told);
        match Offered::of(request).call(words, &told) {
            Some(call) => {
                finish = Finish::ToolCalls;
                parts.push(Part::ToolCall(call));
            }
            None => parts.push(Part::text(words)),
        }
        let choices = vec![text_answer::choice(0, parts, finish, native)];
        Ok(ChatResponse { choices, usage: usage(&told), ..ChatResponse::default() })
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::Lines
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(Reader {
            target: target.clone(),
            telling: Telling::default(),
            parting: Parting::default(),
            offered: Offered::of(request),
            held: String::new(),
            speaks: false,
        })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// The request with its functions as the operator's last words, for a prompt by a template.
fn told_functions<'r>(request: &'r ChatRequest, offered: &Offered) -> Cow<'r, ChatRequest> {
    let Some(words) = offered.words() else { return Cow::Borrowed(request) };
    let mut request = request.clone();
    let parts = vec![Part::text(words)];
    request.messages.push(Message { role: Role::System, parts, name: None, extras: no_extras() });
    Cow::Owned(request)
}

/// The turns under headings, neighbours of one speaker under one. What tools answered is the user's.
fn headed(messages: &[Message], functions: Option<&str>) -> String {
    let mut prompt = String::new();
    let mut last = None;
    let mut functions = functions;
    for message in messages {
        let heading = match message.role {
            Role::System => SYSTEM,
            Role::User | Role::Tool => "User",
            Role::Assistant => "Assistant",
        };
        let mut words = match message.role {
            Role::User | Role::Tool => lines(&message.parts).join("\n"),
            Role::System => prompt::said(&message.parts),
            Role::Assistant => [prompt::said(&message.parts), calls::as_words(&message.parts)]
                .into_iter()
                .filter(|words| !words.is_empty())
                .collect::<Vec<_>>()
                .join("\n"),
        };
        if heading == SYSTEM
            && !words.is_empty()
            && let Some(functions) = functions.take()
        {
            words = format!("{words} {functions}");
        }
        if words.is_empty() {
            continue;
        }
        if last == Some(heading) {
            // Who asks speaks in lines; rules are one text.
            prompt.push_str(if heading == "User" { "\n" } else { "" });
        } else {
            begin(&mut prompt, heading);
            last = Some(heading);
        }
        prompt.push_str(&words);
    }
    if let Some(functions) = functions {
        begin(&mut prompt, SYSTEM);
        prompt.push_str(functions);
    }
    if !prompt.is_empty() {
        prompt.push_str("\n\n");
    }
    prompt
}

/// The heading of the rules.
const SYSTEM: &str = "System";

fn begin(prompt: &mut String, heading: &str) {
    if !prompt.is_empty() {
        prompt.push_str("\n\n");
    }
    prompt.extend(["### ", heading, ":\n"]);
}

/// The texts among these parts, each in a line of its own.
fn lines(parts: &[Part]) -> Vec<String> {
    let text = |part: &Part| match part {
        Part::ToolResult { parts, .. } => lines(parts).join("\n"),
        part => prompt::said(std::slice::from_ref(part)),
    };
    parts.iter().map(text).filter(|text| !text.is_empty()).collect()
}

/// Reads a stream of pieces.
struct Reader {
    target: Target,
    telling: Telling,
    parting: Parting,
    offered: Offered,
    /// What may yet be a call, and is kept until the answer is whole: at most that answer.
    held: String,
    /// The answer is words.
    speaks: bool,
}

impl Reader {
    /// Passes words on; what begins like a call is kept.
    fn say(&mut self, delta: Delta, out: &mut Vec<ChatChunk>) {
        match delta {
            Delta::Text(text) if !self.offered.is_empty() && !self.speaks => {
                self.held.push_str(&text);
                if self.held.trim_start().chars().next().is_some_and(|first| first != '{') {
                    self.speaks = true;
                    self.telling.say(Delta::Text(std::mem::take(&mut self.held)), out);
                }
            }
            delta => self.telling.say(delta, out),
        }
    }

    /// Tells what was kept, and whether it was a call.
    fn tell_held(&mut self, told: &Value, out: &mut Vec<ChatChunk>) -> bool {
        let held = std::mem::take(&mut self.held);
        let Some(call) = self.offered.call(&held, told) else {
            self.telling.words(&held, out);
            return false;
        };
        self.telling.say(Delta::ToolStart { index: 0, id: call.id, name: call.name }, out);
        self.telling.say(Delta::ToolArguments { index: 0, fragment: call.arguments }, out);
        true
    }
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
            self.say(delta, out);
        }
        if told.get("done").and_then(Value::as_bool) == Some(true) {
            if let Some(rest) = self.parting.rest() {
                self.say(rest, out);
            }
            let calls = self.tell_held(&told, out);
            end(&mut self.telling, &told, calls, out);
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

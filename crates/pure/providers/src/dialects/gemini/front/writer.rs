//! Answers in Gemini's words: whole and streamed. A stream has no last word; calls go out whole, when they are.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, Usage,
    chat::{ChatChunk, ChatResponse, Choice, Delta, Finish, Part},
};

use crate::codec::{AnswerContext, ChatEncoder};

pub(super) fn answer(response: &ChatResponse, context: &AnswerContext) -> Value {
    let candidates: Vec<Value> = response.choices.iter().map(candidate).collect();
    let id = if response.id.is_empty() { &context.id } else { &response.id };
    document(candidates, response.usage.as_ref(), id, context).into()
}

fn document(candidates: Vec<Value>, usage: Option<&Usage>, id: &str, context: &AnswerContext) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("candidates".to_owned(), candidates.into());
    if let Some(used) = usage {
        out.insert("usageMetadata".to_owned(), counts(used));
    }
    out.insert("modelVersion".to_owned(), context.alias.as_str().into());
    out.insert("responseId".to_owned(), id.into());
    out
}

fn counts(used: &Usage) -> Value {
    let mut out = Map::new();
    out.insert("promptTokenCount".to_owned(), used.input.into());
    out.insert("candidatesTokenCount".to_owned(), used.output.saturating_sub(used.reasoning).into());
    out.insert("totalTokenCount".to_owned(), used.total().into());
    for (name, tokens) in [("thoughtsTokenCount", used.reasoning), ("cachedContentTokenCount", used.cache_read)] {
        if tokens > 0 {
            out.insert(name.to_owned(), tokens.into());
        }
    }
    out.into()
}

fn candidate(choice: &Choice) -> Value {
    let mut parts: Vec<Value> = choice.parts.iter().filter_map(part).collect();
    let images = choice.message_extras.get("images").and_then(Value::as_array).into_iter().flatten();
    parts.extend(images.filter_map(image));
    written(&parts, Some(choice.finish), choice.index)
}

fn written(parts: &[Value], finish: Option<Finish>, index: u64) -> Value {
    let mut out = Map::new();
    out.insert("content".to_owned(), json!({"parts": parts, "role": "model"}));
    if let Some(finish) = finish {
        out.insert("finishReason".to_owned(), reason(finish).into());
    }
    out.insert("index".to_owned(), index.into());
    out.into()
}

const fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls | Finish::FunctionCall => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}

fn part(part: &Part) -> Option<Value> {
    Some(match part {
        Part::Text { text, .. } | Part::Refusal(text) => json!({ "text": text }),
        Part::Thinking { text, signature } => {
            let mut thought = json!({"text": text, "thought": true});
            if let (Some(thought), Some(seal)) = (thought.as_object_mut(), signature) {
                thought.insert("thoughtSignature".to_owned(), seal.as_str().into());
            }
            thought
        }
        Part::ToolCall(call) => written_call(&call.id, &call.name, &call.arguments),
        _ => return None,
    })
}

fn written_call(id: &str, name: &str, arguments: &str) -> Value {
    let args = match serde_json::from_str::<Value>(arguments) {
        Ok(args @ Value::Object(_)) => args,
        _ if arguments.trim().is_empty() => json!({}),
        _ => json!({ "arguments": arguments }),
    };
    json!({"functionCall": {"id": id, "name": name, "args": args}})
}

/// A picture that chat clients see as a `data:` address.
fn image(image: &Value) -> Option<Value> {
    let address = image.get("image_url")?.get("url")?.as_str()?;
    let (kind, data) = address.strip_prefix("data:")?.split_once(";base64,")?;
    Some(json!({"inlineData": {"mimeType": kind, "data": data}}))
}

/// Writes a stream.
pub(super) struct ContentWriter {
    context: AnswerContext,
    id: String,
    candidates: Vec<Candidate>,
    usage: Option<Usage>,
}

/// What is still to be said of an answer.
struct Candidate {
    index: u64,
    calls: Vec<Call>,
    finish: Option<Finish>,
}

struct Call {
    index: u64,
    id: String,
    name: String,
    arguments: String,
}

impl ContentWriter {
    pub(super) fn new(context: AnswerContext) -> Self {
        Self { id: context.id.clone(), context, candidates: Vec::new(), usage: None }
    }

    fn of(&mut self, index: u64) -> &mut Candidate {
        let place = self.candidates.iter().position(|candidate| candidate.index == index).unwrap_or_else(|| {
            self.candidates.push(Candidate { index, calls: Vec::new(), finish: None });
            self.candidates.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the place was just found or made")]
        &mut self.candidates[place]
    }

    fn say(&self, candidates: Vec<Value>, usage: Option<&Usage>, out: &mut Vec<u8>) {
        event(&document(candidates, usage, &self.id, &self.context).into(), out);
    }

    fn delta(&mut self, choice: u64, delta: &Delta, out: &mut Vec<u8>) {
        let part = match delta {
            Delta::Text(text) | Delta::Refusal(text) => json!({ "text": text }),
            Delta::Thinking(text) => json!({"text": text, "thought": true}),
            Delta::Signature(seal) => json!({"text": "", "thought": true, "thoughtSignature": seal}),
            Delta::ToolStart { index, id, name } => {
                let (index, id, name) = (*index, id.clone(), name.clone());
                self.of(choice).calls.push(Call { index, id, name, arguments: String::new() });
                return;
            }
            Delta::ToolArguments { index, fragment } => {
                let calls = &mut self.of(choice).calls;
                if let Some(call) = calls.iter_mut().find(|call| call.index == *index) {
                    call.arguments.push_str(fragment);
                }
                return;
            }
            Delta::RedactedThinking(_) | Delta::Extras(_) => return,
        };
        self.of(choice);
        self.say(vec![written(&[part], None, choice)], None, out);
    }
}

fn event(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(value.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

impl ChatEncoder for ContentWriter {
    fn encode(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        match chunk {
            ChatChunk::Start { id, .. } => {
                if !id.is_empty() {
                    self.id.clone_from(id);
                }
            }
            ChatChunk::Delta { choice, delta } => self.delta(*choice, delta, out),
            ChatChunk::Finish { choice, finish, .. } => self.of(*choice).finish = Some(*finish),
            ChatChunk::Usage { usage, .. } => self.usage = Some(*usage),
        }
    }

    fn close(&mut self, _cost: Option<f64>, out: &mut Vec<u8>) {
        let candidates = std::mem::take(&mut self.candidates);
        let last = candidates.iter().map(|candidate| {
            let calls = candidate.calls.iter().map(|call| written_call(&call.id, &call.name, &call.arguments));
            // A stream that ends without a reason ended well: the provider closed it in order.
            written(&calls.collect::<Vec<_>>(), Some(candidate.finish.unwrap_or(Finish::Stop)), candidate.index)
        });
        let last = last.collect();
        let usage = self.usage.take();
        self.say(last, usage.as_ref(), out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        event(&super::error(failure), out);
    }
}

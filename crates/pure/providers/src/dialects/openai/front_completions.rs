//! `OpenAI`'s text completion as clients speak it to us.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, RawBody, Usage,
    chat::{ChatChunk, ChatRequest, ChatResponse, Delta, Extras, Finish, Message, Part, Role},
};

use super::{front::CHAT_CLIENT, usage, writer};
use crate::codec::{AnswerContext, ChatEncoder, ClientDialect, Words};

/// The dialect of `/completions`.
pub static COMPLETIONS_CLIENT: CompletionsClient = CompletionsClient;

/// See [`COMPLETIONS_CLIENT`].
#[derive(Debug)]
pub struct CompletionsClient;

/// Parameters of text completion that no chat knows.
const TEXT_ONLY: &[&str] = &["suffix", "echo", "best_of", "prompt"];

impl ClientDialect for CompletionsClient {
    fn words(&self) -> Words {
        Words::OpenAiCompletions
    }

    fn read(&self, body: &RawBody) -> Result<ChatRequest, Failure> {
        let prompt = body.typed::<Value>("prompt").unwrap_or_default();
        let mut rest = body.clone();
        rest.retain(|name| !TEXT_ONLY.contains(&name));
        // A number of log probabilities here, a switch in chat.
        if let Some(count) = rest.typed::<u64>("logprobs") {
            rest.set("logprobs", &Value::Bool(true));
            rest.set("top_logprobs", &count.into());
        }
        let mut request = CHAT_CLIENT.read(&rest)?;
        request.messages = vec![Message {
            role: Role::User,
            parts: vec![Part::text(prompt_text(&prompt)?)],
            name: None,
            extras: Map::new(),
        }];
        Ok(request)
    }

    fn write(&self, response: &ChatResponse, context: &AnswerContext) -> Vec<u8> {
        let mut out = writer::head(&response.id, "chatcmpl-", response.created, "text_completion", context);
        let choices: Vec<Value> = response
            .choices
            .iter()
            .map(|choice| {
                json!({
                    "finish_reason": finish_word(choice.finish),
                    "index": choice.index,
                    "text": writer::content_text(&choice.parts).unwrap_or_default(),
                    "logprobs": choice.extras.get("logprobs"),
                })
            })
            .collect();
        out.insert("choices".to_owned(), choices.into());
        if let Some(used) = &response.usage {
            out.insert("usage".to_owned(), writer::usage_object(used, &response.usage_extras).into());
        }
        Value::Object(out).to_string().into_bytes()
    }

    fn encoder(&self, context: &AnswerContext) -> Box<dyn ChatEncoder> {
        Box::new(TextWriter { context: context.clone(), id: String::new(), usage: None })
    }
}

/// A prompt is text, or a list with one text; several prompts would be several calls of a chat model.
fn prompt_text(prompt: &Value) -> Result<String, Failure> {
    match prompt {
        Value::String(text) => Ok(text.clone()),
        Value::Array(items) => match items.as_slice() {
            [Value::String(text)] => Ok(text.clone()),
            [Value::Array(_), ..] | [Value::Number(_), ..] => {
                Err(invalid("holds token ids, which only text completion models read; send text"))
            }
            _ => Err(invalid("holds several prompts, which only text completion models take; send one per request")),
        },
        _ => Err(invalid("must be text")),
    }
}

fn invalid(what: &str) -> Failure {
    Failure::invalid(format!("`prompt` {what}")).with_param("prompt")
}

/// Text completion knows fewer reasons.
fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
        Finish::Stop | Finish::ToolCalls | Finish::FunctionCall => "stop",
    }
}

struct TextWriter {
    context: AnswerContext,
    id: String,
    usage: Option<(Usage, Extras)>,
}

impl TextWriter {
    fn emit(&self, choices: &Value, used: Option<Map<String, Value>>, out: &mut Vec<u8>) {
        let mut chunk = writer::head(&self.id, "chatcmpl-", Some(self.context.now), "text_completion", &self.context);
        chunk.insert("choices".to_owned(), choices.clone());
        if let Some(used) = used {
            chunk.insert("usage".to_owned(), used.into());
        }
        writer::event(&Value::Object(chunk), out);
    }
}

impl ChatEncoder for TextWriter {
    fn encode(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        match chunk {
            ChatChunk::Start { id, .. } => self.id.clone_from(id),
            ChatChunk::Delta { choice, delta: Delta::Text(text) } => {
                self.emit(
                    &json!([{"index": choice, "text": text, "logprobs": null, "finish_reason": null}]),
                    None,
                    out,
                );
            }
            ChatChunk::Delta { .. } => {}
            ChatChunk::Finish { choice, finish, .. } => {
                let choice =
                    json!([{"index": choice, "text": "", "logprobs": null, "finish_reason": finish_word(*finish)}]);
                self.emit(&choice, None, out);
            }
            ChatChunk::Usage { usage, extras } => self.usage = Some((*usage, extras.clone())),
        }
    }

    fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>) {
        if self.context.include_usage
            && let Some((used, extras)) = &self.usage
        {
            let object = writer::stream_usage(usage::write(used), used, cost);
            let mut object = object;
            object.extend(extras.clone());
            self.emit(&json!([]), Some(object), out);
        }
        out.extend_from_slice(writer::DONE);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        writer::event(&writer::error_body(failure), out);
    }
}

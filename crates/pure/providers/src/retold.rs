//! A whole answer told as a stream: some providers answer a streamed call with one document.

use serde_json::{Map, json};
use tollgate_wire::{
    Failure, Usage,
    chat::{ChatChunk, ChatResponse, Choice, Delta, Part},
    http::Reply,
};

use crate::{
    answers::{Answers, Reader},
    codec::ChatEncoder,
    dialects::openai::merge,
    translate::Passing,
};

/// The events of a whole answer, up to its end.
pub struct Retold {
    /// What is told.
    pub events: Vec<u8>,
    /// What was used, if the provider says.
    pub usage: Option<Usage>,
    encoder: Option<Box<dyn ChatEncoder>>,
}

impl Retold {
    /// All events, once it is known what the call cost (dollars).
    #[must_use]
    pub fn close(mut self, cost: Option<f64>) -> Vec<u8> {
        if let Some(encoder) = &mut self.encoder {
            encoder.close(cost, &mut self.events);
        }
        self.events
    }
}

impl Answers {
    /// The events of a whole answer to a streamed call; `None` where nobody here knows how to tell it so.
    ///
    /// # Errors
    /// When it is not an answer.
    pub fn retell(&self, reply: &Reply) -> Result<Option<Retold>, Failure> {
        match &self.reader {
            Reader::Passed(splice, Passing::Chat) => {
                let (body, usage) = splice.answer(reply, &self.target, &self.context)?;
                Ok(splice.retell(&body).map(|events| Retold { events, usage, encoder: None }))
            }
            Reader::Hub { request, client, dialect } => {
                let mut response = dialect.response(reply, request, &self.target)?;
                if self.target.params.merge_reasoning {
                    merge::response(&mut response);
                }
                let (usage, mut encoder, mut events) = (response.usage, client.encoder(&self.context), Vec::new());
                for chunk in chunks(response) {
                    encoder.encode(&chunk, &mut events);
                }
                Ok(Some(Retold { events, usage, encoder: Some(encoder) }))
            }
            Reader::Splice(..) | Reader::Passed(..) | Reader::Errand(_) => Ok(None),
        }
    }
}

/// The steps in which this answer would have come.
fn chunks(response: ChatResponse) -> Vec<ChatChunk> {
    let mut out = vec![ChatChunk::Start { id: response.id, model: response.model }];
    for choice in response.choices {
        tell(choice, &mut out);
    }
    if let Some(usage) = response.usage {
        out.push(ChatChunk::Usage { usage, extras: response.usage_extras });
    }
    out
}

fn tell(choice: Choice, out: &mut Vec<ChatChunk>) {
    let mut say = |delta: Delta| out.push(ChatChunk::Delta { choice: choice.index, delta });
    let mut calls = 0;
    for part in choice.parts {
        match part {
            Part::Text { text, .. } if text.is_empty() => {}
            Part::Text { text, .. } => say(Delta::Text(text)),
            Part::Refusal(text) => say(Delta::Refusal(text)),
            Part::Thinking { text, signature } => {
                say(Delta::Thinking(text));
                signature.into_iter().for_each(|seal| say(Delta::Signature(seal)));
            }
            Part::RedactedThinking { data } => say(Delta::RedactedThinking(data)),
            Part::ToolCall(call) => {
                say(Delta::ToolStart { index: calls, id: call.id, name: call.name });
                say(Delta::ToolArguments { index: calls, fragment: call.arguments });
                // What else stands on a call goes on with it, such as the seal of a thought (Gemini).
                let mut beside = call.extras;
                beside.remove("index");
                if !beside.is_empty() {
                    beside.insert("index".to_owned(), calls.into());
                    beside.insert("function".to_owned(), json!({"arguments": ""}));
                    say(Delta::Extras(Map::from_iter([("tool_calls".to_owned(), json!([beside]))])));
                }
                calls += 1;
            }
            _ => {}
        }
    }
    if !choice.message_extras.is_empty() {
        say(Delta::Extras(choice.message_extras));
    }
    out.push(ChatChunk::Finish { choice: choice.index, finish: choice.finish, native: choice.native_finish });
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tollgate_wire::chat::{Finish, ToolCall};

    use super::*;

    fn call(id: &str, extras: &Value) -> Part {
        let extras = extras.as_object().cloned().unwrap_or_default();
        Part::ToolCall(ToolCall { id: id.to_owned(), name: "look".to_owned(), arguments: "{}".to_owned(), extras })
    }

    #[test]
    fn the_seal_of_a_call_goes_on_with_it() {
        let seal = json!({"thought_signature": "c2VhbA=="});
        let choice = Choice {
            index: 0,
            parts: vec![
                call("a", &json!({"index": 0})),
                call("b", &json!({"index": 7, "provider_specific_fields": seal})),
            ],
            finish: Finish::ToolCalls,
            native_finish: None,
            extras: Map::new(),
            message_extras: Map::new(),
        };
        let told = chunks(ChatResponse { choices: vec![choice], ..ChatResponse::default() });
        let beside: Vec<Value> = told
            .into_iter()
            .filter_map(|chunk| match chunk {
                ChatChunk::Delta { delta: Delta::Extras(extras), .. } => Some(Value::Object(extras)),
                _ => None,
            })
            .collect();
        let piece = json!({"index": 1, "function": {"arguments": ""}, "provider_specific_fields": seal});
        assert_eq!(beside, [json!({"tool_calls": [piece]})], "and nothing where there is no seal");
    }
}

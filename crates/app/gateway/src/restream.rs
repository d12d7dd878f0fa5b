//! A whole answer told as a stream: some servers answer a streamed call with one document.

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};
use tollgate_catalog::Cost;
use tollgate_providers::{dialects::openai_responses::splice::retold, translate::Answers};
use tollgate_wire::{Failure, FailureKind, http::Reply};

use crate::meter::Meter;

/// Whether an answer says that it is one document.
pub(crate) fn is_document(headers: &HeaderMap) -> bool {
    let stated = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
    stated.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/json"))
}

/// The events of a streamed call whose answer came in one piece, and what it cost; settles the attempt.
///
/// # Errors
/// When it is no answer.
pub(crate) async fn retell(
    answers: Answers,
    reply: &Reply,
    include_usage: bool,
    event_limit: usize,
    meter: &mut Meter,
) -> Result<(Bytes, Option<Cost>), Failure> {
    if reply.body.trim_ascii_start().first().is_some_and(|byte| !matches!(byte, b'{' | b'[')) {
        // Events after all, under the wrong name.
        let (mut translation, mut out) = (answers.stream(event_limit)?, Vec::new());
        translation.push(&reply.body, &mut out)?;
        if !translation.progress().done {
            translation.finish(&mut out)?;
        }
        let progress = *translation.progress();
        meter.progress(progress, translation.said());
        let cost = meter.answered(progress.usage, &Bytes::new()).await;
        translation.close(cost.map(Cost::usd_f64), &mut out);
        return Ok((out.into(), cost));
    }
    if let Some(retold) = answers.retell(reply)? {
        let cost = meter.answered(retold.usage, &reply.body).await;
        return Ok((retold.close(cost.map(Cost::usd_f64)).into(), cost));
    }
    let answered = answers.whole(reply)?;
    let cost = meter.answered(answered.usage, &answered.body).await;
    let events = Retold { include_usage, cost: cost.map(Cost::usd_f64) }.events(&answered.body);
    let words = "the answer to a streamed call is neither a stream nor a completion";
    events.map(|events| (events, cost)).ok_or_else(|| Failure::new(FailureKind::InvalidResponse, words))
}

/// What the document is to become.
struct Retold {
    /// The client asked for usage.
    include_usage: bool,
    /// Dollars, if known.
    cost: Option<f64>,
}

impl Retold {
    /// The events of an answer in `OpenAI`'s shape, chat or text; none if it is no such answer.
    fn events(&self, body: &[u8]) -> Option<Bytes> {
        let Ok(Value::Object(mut document)) = serde_json::from_slice(body) else { return None };
        if document.get("object").is_some_and(|object| object == "response") {
            return Some(retold(&document, self.cost).into());
        }
        let Some(Value::Array(choices)) = document.shift_remove("choices") else { return None };
        let usage = document.shift_remove("usage");
        let is_chat = document.get("object").and_then(Value::as_str) == Some("chat.completion");
        if is_chat {
            document.insert("object".to_owned(), "chat.completion.chunk".into());
        }
        let mut out = Vec::with_capacity(body.len() + 512);
        let mut say = |choices: Value, usage: Option<Value>| {
            let mut chunk = document.clone();
            chunk.insert("choices".to_owned(), choices);
            chunk.extend(usage.map(|usage| ("usage".to_owned(), usage)));
            out.extend_from_slice(format!("data: {}\n\n", Value::Object(chunk)).as_bytes());
        };
        for choice in choices {
            let Value::Object(mut choice) = choice else { return None };
            let finish = choice.insert("finish_reason".to_owned(), Value::Null).unwrap_or(Value::Null);
            let index = choice.get("index").cloned().unwrap_or_else(|| 0.into());
            let last = if is_chat {
                let message = choice.shift_remove("message")?;
                choice.insert("delta".to_owned(), delta(message));
                json!([{"index": index, "delta": {}, "finish_reason": finish}])
            } else {
                json!([{"index": index, "text": "", "finish_reason": finish}])
            };
            say(json!([choice]), None);
            say(last, None);
        }
        if let (true, Some(Value::Object(mut usage))) = (self.include_usage, usage) {
            usage.extend(self.cost.map(|cost| ("cost".to_owned(), cost.into())));
            say(json!([]), Some(Value::Object(usage)));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        Some(out.into())
    }
}

/// A message as the one piece of a stream: what is null is left out, tool calls get their places.
fn delta(message: Value) -> Value {
    let Value::Object(message) = message else { return json!({}) };
    let mut delta: Map<String, Value> = message.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let calls = delta.get_mut("tool_calls").and_then(Value::as_array_mut);
    for (place, call) in calls.into_iter().flatten().enumerate() {
        if let Value::Object(call) = call {
            call.entry("index").or_insert_with(|| place.into());
        }
    }
    delta.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(document: &Value, include_usage: bool) -> Vec<Value> {
        let events = Retold { include_usage, cost: Some(0.5) }.events(document.to_string().as_bytes()).unwrap();
        let text = std::str::from_utf8(&events).unwrap().to_owned();
        let lines: Vec<&str> = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
        assert_eq!(lines.last(), Some(&"[DONE]"));
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    #[test]
    fn a_message_with_tool_calls_is_told_in_pieces() {
        let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [call, call]});
        let usage = json!({"total_tokens": 3});
        let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
        let document = json!({"id": "1", "object": "chat.completion", "usage": usage, "choices": [choice]});
        let events = told(&document, true);
        assert_eq!(events.len(), 3);
        assert_eq!(events[0]["object"], "chat.completion.chunk");
        let delta = &events[0]["choices"][0]["delta"];
        assert!(delta.get("content").is_none() && delta["tool_calls"][1]["index"] == 1, "{delta}");
        assert_eq!(events[1]["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(
            events[2],
            json!({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 3, "cost": 0.5}})
        );
        assert_eq!(told(&document, false).len(), 2);
    }

    #[test]
    fn a_text_completion_keeps_its_shape() {
        let document =
            json!({"object": "text_completion", "choices": [{"index": 0, "text": "once", "finish_reason": "stop"}]});
        let events = told(&document, false);
        assert_eq!(
            (&events[0]["choices"][0]["text"], &events[0]["object"]),
            (&json!("once"), &json!("text_completion"))
        );
        assert_eq!(events[1]["choices"][0]["finish_reason"], "stop");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for body in ["[]", "{}", "{\"choices\": 3}", "{\"object\": \"chat.completion\", \"choices\": [{}]}"] {
            assert!(Retold { include_usage: false, cost: None }.events(body.as_bytes()).is_none(), "{body}");
        }
    }
}

//! Anthropic's messages, whole and streamed.

use serde_json::{Value, json};

use super::{
    refusal::Refusal,
    spoken::{self, Asked, Spoken},
};
use crate::{
    answer::{Answer, SseItem},
    call::Call,
};

const THOUGHT: &str = "The user said something; I say it back.";

pub(super) fn messages(number: usize, call: &Call, asked: &Value) -> Result<Answer, Refusal> {
    if call.header("anthropic-version").is_none() {
        return Err(Refusal::invalid("anthropic-version: header is required"));
    }
    let reading = read(asked)?;
    if reading.most_tokens.is_none() {
        return Err(Refusal::invalid("max_tokens: Field required"));
    }
    let spoken = Spoken::to(&reading);
    let message = Message { number, asked, spoken: &spoken };
    let answer = if asked["stream"] == true { message.stream() } else { message.whole() };
    Ok(answer.header("request-id", &format!("req_fake_{number}")))
}

pub(super) fn count_tokens(asked: &Value) -> Result<Answer, Refusal> {
    let reading = read(asked)?;
    Ok(Answer::json(200, json!({"input_tokens": spoken::count(&reading.prompt)})))
}

fn read(asked: &Value) -> Result<Asked<'_>, Refusal> {
    if !asked["model"].is_string() {
        return Err(Refusal::invalid("model: Field required"));
    }
    let messages = asked["messages"].as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| Refusal::invalid("messages: at least one message is required"))?;
    let (conversation, last_user_text) = spoken::conversation(messages);
    let system = spoken::text_of(&asked["system"]);
    let after_a_tool = messages.last().is_some_and(|message| {
        message["content"].as_array().is_some_and(|parts| parts.iter().any(|part| part["type"] == "tool_result"))
    });
    Ok(Asked {
        prompt: format!("{system} {conversation}"),
        last_user_text,
        tool: offered_tool(asked).filter(|_| !after_a_tool),
        schema: asked["output_config"]["format"].get("schema"),
        most_tokens: asked["max_tokens"].as_u64(),
        ..Asked::default()
    })
}

/// The tool that is called: the one that is demanded, else the first.
fn offered_tool(asked: &Value) -> Option<spoken::Tool<'_>> {
    if asked["tool_choice"]["type"] == "none" {
        return None;
    }
    let demanded = asked["tool_choice"]["name"].as_str();
    let tools = asked["tools"].as_array()?;
    let tool = tools.iter().find(|tool| demanded.is_none_or(|name| tool["name"].as_str() == Some(name)))?;
    Some((tool["name"].as_str()?, &tool["input_schema"]))
}

/// One message on its way into Anthropic's words.
struct Message<'asked> {
    number: usize,
    asked: &'asked Value,
    spoken: &'asked Spoken,
}

impl Message<'_> {
    fn whole(&self) -> Answer {
        let mut message = self.envelope();
        message["content"] = Value::Array(self.blocks());
        message["stop_reason"] = json!(self.stop_reason());
        message["usage"]["output_tokens"] = json!(self.spoken.completion_tokens);
        Answer::json(200, message)
    }

    fn stream(&self) -> Answer {
        let mut opening = self.envelope();
        opening["usage"]["output_tokens"] = json!(1);
        let mut items = vec![event(json!({"type": "message_start", "message": opening}))];
        for (index, block) in self.blocks().iter().enumerate() {
            items.push(event(json!({"type": "content_block_start", "index": index, "content_block": emptied(block)})));
            if index == 0 {
                items.push(event(json!({"type": "ping"})));
            }
            for delta in deltas(block) {
                items.push(event(json!({"type": "content_block_delta", "index": index, "delta": delta})));
            }
            items.push(event(json!({"type": "content_block_stop", "index": index})));
        }
        items.push(event(json!({
            "type": "message_delta",
            "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null},
            "usage": {"output_tokens": self.spoken.completion_tokens}
        })));
        items.push(event(json!({"type": "message_stop"})));
        Answer::sse(items)
    }

    fn envelope(&self) -> Value {
        json!({
            "id": format!("msg_fake_{}", self.number), "type": "message", "role": "assistant",
            "model": self.asked["model"], "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {
                "input_tokens": self.spoken.prompt_tokens, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0, "output_tokens": 0
            }
        })
    }

    fn blocks(&self) -> Vec<Value> {
        let mut blocks = Vec::new();
        if matches!(self.asked["thinking"]["type"].as_str(), Some("enabled" | "adaptive")) {
            blocks.push(json!({"type": "thinking", "thinking": THOUGHT, "signature": "c2lnbmF0dXJl"}));
        }
        blocks.push(match &self.spoken.tool {
            Some((name, input)) => json!({"type": "tool_use", "id": "toolu_fake_0", "name": name, "input": input}),
            None => json!({"type": "text", "text": self.spoken.text}),
        });
        blocks
    }

    fn stop_reason(&self) -> &'static str {
        match (&self.spoken.tool, self.spoken.cut_short) {
            (Some(_), _) => "tool_use",
            (None, true) => "max_tokens",
            (None, false) => "end_turn",
        }
    }
}

/// An event is named by its own type.
fn event(document: Value) -> SseItem {
    let name = document["type"].as_str().unwrap_or_default().to_owned();
    SseItem::event(&name, document)
}

/// A block as it opens in a stream: without its content.
fn emptied(block: &Value) -> Value {
    let mut block = block.clone();
    match block["type"].as_str() {
        Some("text") => block["text"] = json!(""),
        Some("thinking") => {
            block["thinking"] = json!("");
            block["signature"] = json!("");
        }
        _ => block["input"] = json!({}),
    }
    block
}

fn deltas(block: &Value) -> Vec<Value> {
    let text = |key: &str| block[key].as_str().unwrap_or_default();
    match block["type"].as_str() {
        Some("text") => {
            spoken::words(text("text")).into_iter().map(|word| json!({"type": "text_delta", "text": word})).collect()
        }
        Some("thinking") => {
            let words = spoken::words(text("thinking")).into_iter();
            let mut deltas: Vec<Value> =
                words.map(|word| json!({"type": "thinking_delta", "thinking": word})).collect();
            deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
            deltas
        }
        _ => {
            let input = block["input"].to_string();
            let (first, second) = input.split_at(input.char_indices().nth(2).map_or(0, |(start, _)| start));
            ["", first, second].map(|part| json!({"type": "input_json_delta", "partial_json": part})).to_vec()
        }
    }
}

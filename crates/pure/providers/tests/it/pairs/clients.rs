//! A conversation in the words of each client's dialect.

use serde_json::{Map, Value, json};

use super::talk::{Asked, Call, Choice, Outcome, Talk, Turn, object};

/// The body of a request, as this client writes it.
pub(super) fn body(client: &str, talk: &Talk) -> Value {
    match client {
        "chat" => chat(talk),
        "messages" => messages(talk),
        "responses" => responses(talk),
        _ => gemini(talk),
    }
}

struct Body(Map<String, Value>);

impl Body {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn set_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }
}

fn picture_url(data: &str) -> String {
    format!("data:image/png;base64,{data}")
}

fn file_url(data: &str) -> String {
    format!("data:application/pdf;base64,{data}")
}

fn chat(talk: &Talk) -> Value {
    let mut messages: Vec<Value> = Vec::new();
    messages.extend(talk.system.iter().map(|text| json!({"role": "system", "content": text})));
    for turn in &talk.turns {
        let asked: Vec<Value> = turn.asked.iter().map(chat_part).collect();
        messages.push(json!({"role": "user", "content": asked}));
        messages.extend(chat_answer(talk, turn));
        messages.extend(turn.calls.iter().map(|call| {
            let mut content = Value::from(call.result.text());
            if let Some(data) = &call.picture {
                let words = (content != "").then(|| json!({"type": "text", "text": content}));
                let picture = json!({"type": "image_url", "image_url": {"url": picture_url(data)}});
                content = words.into_iter().chain([picture]).collect();
            }
            json!({"role": "tool", "tool_call_id": call.id, "content": content})
        }));
    }
    let mut body = Body(Map::new());
    body.set("model", "m");
    body.set("messages", messages);
    if !talk.tools.is_empty() {
        body.set(
            "tools",
            functions(talk).map(|function| json!({"type": "function", "function": function})).collect::<Value>(),
        );
        body.set_some("parallel_tool_calls", talk.one_at_a_time.then_some(false));
    }
    body.set_some(
        "tool_choice",
        talk.choice.map(|choice| match choice {
            Choice::Auto => json!("auto"),
            Choice::None => json!("none"),
            Choice::Required => json!("required"),
            Choice::Named => json!({"type": "function", "function": {"name": talk.tools[0].name}}),
        }),
    );
    body.set("max_tokens", talk.longest);
    body.set_some("temperature", talk.temperature);
    body.set_some("top_p", talk.top_p);
    body.set_some("stop", (!talk.stop.is_empty()).then(|| talk.stop.clone()));
    body.set_some("user", talk.user.clone());
    body.0.into()
}

fn chat_part(asked: &Asked) -> Value {
    match asked {
        Asked::Words { text, cached } => marked(json!({"type": "text", "text": text}), *cached),
        Asked::Picture(data) => json!({"type": "image_url", "image_url": {"url": picture_url(data)}}),
        Asked::File(data) => json!({"type": "file", "file": {"filename": "a.pdf", "file_data": file_url(data)}}),
    }
}

fn marked(mut part: Value, cached: bool) -> Value {
    if cached {
        part["cache_control"] = json!({"type": "ephemeral"});
    }
    part
}

fn says_something(turn: &Turn) -> bool {
    turn.words.is_some() || !turn.calls.is_empty()
}

fn chat_answer(talk: &Talk, turn: &Turn) -> Option<Value> {
    says_something(turn).then_some(())?;
    let mut message = json!({"role": "assistant", "content": turn.words});
    if let Some((text, seal)) = &turn.thought {
        message["thinking_blocks"] = json!([{"type": "thinking", "thinking": text, "signature": seal}]);
    }
    if !turn.calls.is_empty() {
        let calls = turn.calls.iter().map(|call| {
            json!({"id": call.id, "type": "function",
                "function": {"name": talk.tools[call.tool].name, "arguments": call.arguments}})
        });
        message["tool_calls"] = calls.collect();
    }
    Some(message)
}

/// Functions as `OpenAI` and Google declare them.
fn functions(talk: &Talk) -> impl Iterator<Item = Value> {
    talk.tools.iter().map(|tool| {
        let mut function = json!({"name": tool.name, "parameters": tool.schema});
        if let Some(description) = &tool.description {
            function["description"] = description.as_str().into();
        }
        function
    })
}

fn messages(talk: &Talk) -> Value {
    let mut messages: Vec<Value> = Vec::new();
    let mut results: Vec<Value> = Vec::new();
    for turn in &talk.turns {
        let mut content = std::mem::take(&mut results);
        content.extend(turn.asked.iter().map(block));
        messages.push(json!({"role": "user", "content": content}));
        if says_something(turn) {
            messages.push(json!({"role": "assistant", "content": answer_blocks(talk, turn)}));
        }
        results = turn.calls.iter().map(result_block).collect();
    }
    let mut body = Body(Map::new());
    body.set("model", "m");
    body.set("messages", messages);
    body.set_some("system", talk.system.clone());
    if !talk.tools.is_empty() {
        let tools = talk.tools.iter().map(|tool| {
            let mut out = json!({"name": tool.name, "input_schema": tool.schema});
            if let Some(description) = &tool.description {
                out["description"] = description.as_str().into();
            }
            out
        });
        body.set("tools", tools.collect::<Value>());
        let mut choice = match talk.choice {
            Some(Choice::None) => json!({"type": "none"}),
            Some(Choice::Required) => json!({"type": "any"}),
            Some(Choice::Named) => json!({"type": "tool", "name": talk.tools[0].name}),
            Some(Choice::Auto) | None => json!({"type": "auto"}),
        };
        if talk.one_at_a_time && choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = true.into();
        }
        body.set_some("tool_choice", (talk.choice.is_some() || talk.one_at_a_time).then_some(choice));
    }
    body.set("max_tokens", talk.longest);
    body.set_some("temperature", talk.temperature);
    body.set_some("top_p", talk.top_p);
    body.set_some("stop_sequences", (!talk.stop.is_empty()).then(|| talk.stop.clone()));
    body.set_some("metadata", talk.user.as_ref().map(|user| json!({"user_id": user})));
    body.0.into()
}

fn block(asked: &Asked) -> Value {
    let held = |kind: &str, media_type: &str, data: &str| json!({"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}});
    match asked {
        Asked::Words { text, cached } => marked(json!({"type": "text", "text": text}), *cached),
        Asked::Picture(data) => held("image", "image/png", data),
        Asked::File(data) => held("document", "application/pdf", data),
    }
}

fn answer_blocks(talk: &Talk, turn: &Turn) -> Vec<Value> {
    let thought =
        turn.thought.iter().map(|(text, seal)| json!({"type": "thinking", "thinking": text, "signature": seal}));
    let words = turn.words.iter().map(|text| json!({"type": "text", "text": text}));
    let calls = turn.calls.iter().map(|call| {
        json!({"type": "tool_use", "id": call.id, "name": talk.tools[call.tool].name, "input": object(&call.arguments)})
    });
    thought.chain(words).chain(calls).collect()
}

fn result_block(call: &Call) -> Value {
    let mut out = json!({"type": "tool_result", "tool_use_id": call.id, "content": call.result.text()});
    if let Some(data) = &call.picture {
        let words = (out["content"] != "").then(|| json!({"type": "text", "text": out["content"]}));
        out["content"] = words.into_iter().chain([block(&Asked::Picture(data.clone()))]).collect();
    }
    if call.failed {
        out["is_error"] = true.into();
    }
    out
}

fn responses(talk: &Talk) -> Value {
    let mut input: Vec<Value> = Vec::new();
    for turn in &talk.turns {
        let asked: Vec<Value> = turn.asked.iter().map(input_part).collect();
        input.push(json!({"type": "message", "role": "user", "content": asked}));
        if let Some((text, seal)) = &turn.thought {
            input.push(json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": text}],
                "encrypted_content": seal}));
        }
        if let Some(text) = &turn.words {
            input.push(
                json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}),
            );
        }
        input.extend(turn.calls.iter().map(|call| {
            json!({"type": "function_call", "call_id": call.id, "name": talk.tools[call.tool].name, "arguments": call.arguments})
        }));
        input.extend(turn.calls.iter().map(|call| {
            let mut output = Value::from(call.result.text());
            if let Some(data) = &call.picture {
                let words = (output != "").then(|| json!({"type": "input_text", "text": output}));
                output = words.into_iter().chain([input_part(&Asked::Picture(data.clone()))]).collect();
            }
            json!({"type": "function_call_output", "call_id": call.id, "output": output})
        }));
    }
    let mut body = Body(Map::new());
    body.set("model", "m");
    body.set("input", input);
    body.set_some("instructions", talk.system.clone());
    if !talk.tools.is_empty() {
        let typed = |mut function: Value| {
            function["type"] = "function".into();
            function["strict"] = false.into();
            function
        };
        body.set("tools", functions(talk).map(typed).collect::<Value>());
        body.set_some("parallel_tool_calls", talk.one_at_a_time.then_some(false));
    }
    body.set_some(
        "tool_choice",
        talk.choice.map(|choice| match choice {
            Choice::Auto => json!("auto"),
            Choice::None => json!("none"),
            Choice::Required => json!("required"),
            Choice::Named => json!({"type": "function", "name": talk.tools[0].name}),
        }),
    );
    body.set("max_output_tokens", talk.longest);
    body.set_some("temperature", talk.temperature);
    body.set_some("top_p", talk.top_p);
    body.set_some("user", talk.user.clone());
    body.0.into()
}

fn input_part(asked: &Asked) -> Value {
    match asked {
        Asked::Words { text, .. } => json!({"type": "input_text", "text": text}),
        Asked::Picture(data) => json!({"type": "input_image", "image_url": picture_url(data)}),
        Asked::File(data) => json!({"type": "input_file", "filename": "a.pdf", "file_data": file_url(data)}),
    }
}

fn gemini(talk: &Talk) -> Value {
    let mut contents: Vec<Value> = Vec::new();
    for turn in &talk.turns {
        let asked: Vec<Value> = turn.asked.iter().map(content_part).collect();
        contents.push(json!({"role": "user", "parts": asked}));
        if says_something(turn) {
            contents.push(json!({"role": "model", "parts": model_parts(talk, turn)}));
        }
        if !turn.calls.is_empty() {
            let answered = turn.calls.iter().map(|call| {
                let response = match &call.result {
                    Outcome::Document(document) => document.clone(),
                    other => json!({"result": other.text()}),
                };
                json!({"functionResponse": {"name": talk.tools[call.tool].name, "response": response}})
            });
            contents.push(json!({"role": "user", "parts": answered.collect::<Value>()}));
        }
    }
    let mut settings = Body(Map::new());
    settings.set("maxOutputTokens", talk.longest);
    settings.set_some("temperature", talk.temperature);
    settings.set_some("topP", talk.top_p);
    settings.set_some("stopSequences", (!talk.stop.is_empty()).then(|| talk.stop.clone()));
    let mut body = Body(Map::new());
    body.set("contents", contents);
    body.set("generationConfig", settings.0);
    body.set_some("systemInstruction", talk.system.as_ref().map(|text| json!({"parts": [{"text": text}]})));
    if !talk.tools.is_empty() {
        body.set("tools", json!([{"functionDeclarations": functions(talk).collect::<Value>()}]));
    }
    body.set_some(
        "toolConfig",
        talk.choice.map(|choice| {
            let config = match choice {
                Choice::Auto => json!({"mode": "AUTO"}),
                Choice::None => json!({"mode": "NONE"}),
                Choice::Required => json!({"mode": "ANY"}),
                Choice::Named => json!({"mode": "ANY", "allowedFunctionNames": [talk.tools[0].name]}),
            };
            json!({"functionCallingConfig": config})
        }),
    );
    body.0.into()
}

fn content_part(asked: &Asked) -> Value {
    match asked {
        Asked::Words { text, .. } => json!({"text": text}),
        Asked::Picture(data) => json!({"inlineData": {"mimeType": "image/png", "data": data}}),
        Asked::File(data) => json!({"inlineData": {"mimeType": "application/pdf", "data": data}}),
    }
}

fn model_parts(talk: &Talk, turn: &Turn) -> Vec<Value> {
    let thought =
        turn.thought.iter().map(|(text, seal)| json!({"text": text, "thought": true, "thoughtSignature": seal}));
    let words = turn.words.iter().map(|text| json!({"text": text}));
    let calls = turn
        .calls
        .iter()
        .map(|call| json!({"functionCall": {"name": talk.tools[call.tool].name, "args": object(&call.arguments)}}));
    thought.chain(words).chain(calls).collect()
}

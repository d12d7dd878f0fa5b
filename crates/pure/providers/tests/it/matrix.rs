//! What of a conversation gets through, from every client's words to every kind of provider, and back. Each thing that a
//! client can say is said once, marked; it got through if the mark is found in what goes out. `docs/reference/dialects.md`
//! is written from it (`UPDATE=1`), and what must never be lost fails the test.

use std::{fmt::Write as _, path::Path, sync::Arc};

use serde_json::{Map, Value, json};
use tollgate_kit::golden::{Case, Findings};
use tollgate_providers::{Target, codec::Wanted};
use tollgate_wire::{
    Failure, Usage,
    chat::{ChatChunk, ChatResponse, Choice, Delta, Finish, Part, ToolCall},
};

use crate::world::{self, Ask, ID, NOW};

const HEAD: &str = "<!-- Written by a test (crates/pure/providers/tests/it/matrix.rs): run the crate's tests with UPDATE=1. -->
# Dialects: what gets through

Clients speak one of four dialects to Tollgate, providers speak their own; one hub stands between. Where both sides speak the
same, bodies are passed on as they are and nothing is lost. `yes`: it arrives. `no`: the provider has no word for it, and it
is left out or refused. A dash: the client's dialect has no word for it.
";

/// The clients: operation of a fixture, and its name for people.
pub(crate) const CLIENTS: [(&str, &str); 4] = [
    ("chat", "OpenAI chat completions"),
    ("messages", "Anthropic messages"),
    ("responses", "OpenAI responses"),
    ("gemini", "Gemini generateContent"),
];

/// What the catalog says of every model here.
pub(crate) fn facts() -> Value {
    json!({"tools": true, "tool_choice": true, "response_schema": true, "vision": true, "reasoning": true,
        "max_output_tokens": 32_000})
}

/// One target of each kind of words.
pub(crate) fn targets() -> Vec<(&'static str, Arc<Target>)> {
    let rows = [
        ("OpenAI chat", json!({"model": "openai/gpt-4o", "api_key": "k"})),
        ("OpenAI responses", json!({"model": "openai/responses/gpt-4o", "api_key": "k"})),
        ("Anthropic", json!({"model": "anthropic/claude-sonnet-4-5-20250929", "api_key": "k"})),
        ("Gemini", json!({"model": "gemini/gemini-2.5-pro", "api_key": "k"})),
        (
            "Bedrock Converse",
            json!({"model": "bedrock/converse/anthropic.claude-sonnet-4-5-20250929-v1:0", "aws_access_key_id": "AKIDEXAMPLE",
                "aws_secret_access_key": "k", "aws_region_name": "us-east-1"}),
        ),
        ("Cohere v2", json!({"model": "cohere_chat/command-a-03-2025", "api_key": "k"})),
        ("Ollama chat", json!({"model": "ollama_chat/llama3.2", "api_base": "http://ollama.test"})),
    ];
    rows.into_iter()
        .map(|(name, mut target)| {
            target["facts"] = facts();
            target["drop_params"] = true.into();
            (name, world::target(&target).unwrap_or_else(|why| panic!("{name}: {why}")))
        })
        .collect()
}

/// Something that a client can say, and the marks by which it is known again: one of them must be found.
struct Word {
    name: &'static str,
    marks: &'static [&'static str],
    /// No provider may lose it.
    vital: bool,
}

const PICTURE: &str = "TUFSS01BUks=";

const WORDS: &[Word] = &[
    Word { name: "words of the user", marks: &["marked words"], vital: true },
    Word { name: "instructions", marks: &["marked instructions"], vital: true },
    Word { name: "picture, inline", marks: &[PICTURE], vital: false },
    Word { name: "picture, by URL", marks: &["https://marked.test/a.png", PICTURE], vital: false },
    Word { name: "PDF, inline", marks: &[PICTURE], vital: false },
    Word { name: "tool on offer", marks: &["marked_tool"], vital: true },
    Word { name: "tool that must be called", marks: &["marked_tool"], vital: true },
    Word { name: "call of a tool, returned", marks: &["marked_argument"], vital: true },
    Word { name: "result of a tool", marks: &["marked result"], vital: true },
    Word { name: "result that is a failure", marks: &["\"is_error\":true", "\"status\":\"error\""], vital: false },
    Word { name: "picture in a result", marks: &[PICTURE], vital: false },
    Word { name: "thoughts, returned", marks: &["marked thoughts"], vital: false },
    Word { name: "seal on the thoughts, returned", marks: &["bWFya2VkIHNlYWw="], vital: false },
    Word { name: "sealed thoughts, returned", marks: &["bWFya2VkIHNlYWw="], vital: false },
    Word { name: "mark for the prompt cache", marks: &["cache_control", "cachePoint"], vital: false },
    Word {
        name: "one call at a time",
        marks: &["\"parallel_tool_calls\":false", "\"disable_parallel_tool_use\":true"],
        vital: false,
    },
    Word { name: "JSON schema of the answer", marks: &["marked_property"], vital: false },
    Word { name: "text that ends the answer", marks: &["MARKED STOP"], vital: false },
    Word { name: "longest answer", marks: &["4321"], vital: true },
    Word { name: "temperature", marks: &["0.4375"], vital: true },
    Word { name: "end user", marks: &["marked-user"], vital: false },
];

/// How a client says it; `None` where its dialect has no word for it.
fn said(client: &str, word: &str) -> Option<Value> {
    match client {
        "chat" => said_in_chat(word),
        "messages" => said_in_messages(word),
        "responses" => said_in_responses(word),
        _ => said_in_gemini(word),
    }
}

fn with(mut body: Value, more: Value) -> Value {
    let (Value::Object(members), Value::Object(more)) = (&mut body, more) else { return body };
    members.extend(more);
    body
}

const SCHEMA: fn() -> Value = || json!({"type": "object", "properties": {"marked_property": {"type": "string"}}, "required": ["marked_property"], "additionalProperties": false});

fn said_in_chat(word: &str) -> Option<Value> {
    let asking = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let hi = || asking("marked words".into());
    let tool =
        json!({"type": "function", "function": {"name": "marked_tool", "description": "d", "parameters": SCHEMA()}});
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "marked_tool", "arguments": "{\"marked_property\":\"marked_argument\"}"}});
    let after = |result: Value| {
        json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": result}], "tools": [tool]})
    };
    let thought = |block: Value| {
        json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes", "thinking_blocks": [block]},
            {"role": "user", "content": "go on"}], "reasoning_effort": "high"})
    };
    Some(match word {
        "words of the user" => hi(),
        "instructions" => {
            json!({"messages": [{"role": "system", "content": "marked instructions"}, {"role": "user", "content": "hi"}]})
        }
        "picture, inline" => {
            asking(json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PICTURE}")}}]))
        }
        "picture, by URL" => asking(json!([{"type": "image_url", "image_url": {"url": "https://marked.test/a.png"}}])),
        "PDF, inline" => asking(
            json!([{"type": "file", "file": {"filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PICTURE}")}}]),
        ),
        "tool on offer" => with(hi(), json!({"tools": [tool]})),
        "tool that must be called" => with(
            hi(),
            json!({"tools": [tool], "tool_choice": {"type": "function", "function": {"name": "marked_tool"}}}),
        ),
        "call of a tool, returned" | "result of a tool" => after("marked result".into()),
        "one call at a time" => with(hi(), json!({"tools": [tool], "parallel_tool_calls": false})),
        "picture in a result" => {
            after(json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PICTURE}")}}]))
        }
        "thoughts, returned" | "seal on the thoughts, returned" => {
            thought(json!({"type": "thinking", "thinking": "marked thoughts", "signature": "bWFya2VkIHNlYWw="}))
        }
        "sealed thoughts, returned" => thought(json!({"type": "redacted_thinking", "data": "bWFya2VkIHNlYWw="})),
        "mark for the prompt cache" => {
            asking(json!([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]))
        }
        "JSON schema of the answer" => with(
            hi(),
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": SCHEMA()}}}),
        ),
        "text that ends the answer" => with(hi(), json!({"stop": ["MARKED STOP"]})),
        "longest answer" => with(hi(), json!({"max_tokens": 4321})),
        "temperature" => with(hi(), json!({"temperature": 0.4375})),
        "end user" => with(hi(), json!({"user": "marked-user"})),
        _ => return None,
    })
}

fn said_in_messages(word: &str) -> Option<Value> {
    let asking = |content: Value| json!({"max_tokens": 1000, "messages": [{"role": "user", "content": content}]});
    let hi = || asking("marked words".into());
    let picture = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}});
    let tool = json!({"name": "marked_tool", "description": "d", "input_schema": SCHEMA()});
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "marked_tool", "input": {"marked_property": "marked_argument"}});
    let after = |result: Value| {
        json!({"max_tokens": 1000, "tools": [tool], "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": result}]}]})
    };
    let thought = |block: Value| {
        json!({"max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 2000}, "messages": [{"role": "user", "content": "hi"},
            {"role": "assistant", "content": [block, {"type": "text", "text": "yes"}]}, {"role": "user", "content": "go on"}]})
    };
    Some(match word {
        "words of the user" => hi(),
        "instructions" => with(hi(), json!({"system": "marked instructions"})),
        "picture, inline" => asking(json!([picture])),
        "picture, by URL" => {
            asking(json!([{"type": "image", "source": {"type": "url", "url": "https://marked.test/a.png"}}]))
        }
        "PDF, inline" => asking(
            json!([{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PICTURE}}]),
        ),
        "tool on offer" => with(hi(), json!({"tools": [tool]})),
        "tool that must be called" => {
            with(hi(), json!({"tools": [tool], "tool_choice": {"type": "tool", "name": "marked_tool"}}))
        }
        "call of a tool, returned" | "result of a tool" => after("marked result".into()),
        "result that is a failure" => {
            let mut body = after("marked result".into());
            body["messages"][2]["content"][0]["is_error"] = true.into();
            body
        }
        "one call at a time" => {
            with(hi(), json!({"tools": [tool], "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}))
        }
        "picture in a result" => after(json!([picture])),
        "thoughts, returned" | "seal on the thoughts, returned" => {
            thought(json!({"type": "thinking", "thinking": "marked thoughts", "signature": "bWFya2VkIHNlYWw="}))
        }
        "sealed thoughts, returned" => thought(json!({"type": "redacted_thinking", "data": "bWFya2VkIHNlYWw="})),
        "mark for the prompt cache" => {
            asking(json!([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]))
        }
        "JSON schema of the answer" => {
            with(hi(), json!({"output_format": {"type": "json_schema", "schema": SCHEMA()}}))
        }
        "text that ends the answer" => with(hi(), json!({"stop_sequences": ["MARKED STOP"]})),
        "longest answer" => with(hi(), json!({"max_tokens": 4321})),
        "temperature" => with(hi(), json!({"temperature": 0.4375})),
        "end user" => with(hi(), json!({"metadata": {"user_id": "marked-user"}})),
        _ => return None,
    })
}

fn said_in_responses(word: &str) -> Option<Value> {
    let asking = |content: Value| json!({"input": [{"role": "user", "content": content}]});
    let hi = || asking("marked words".into());
    let picture = json!({"type": "input_image", "image_url": format!("data:image/png;base64,{PICTURE}")});
    let tool =
        json!({"type": "function", "name": "marked_tool", "description": "d", "parameters": SCHEMA(), "strict": true});
    let call = json!({"type": "function_call", "call_id": "call_1", "name": "marked_tool", "arguments": "{\"marked_property\":\"marked_argument\"}"});
    let after = |result: Value| {
        json!({"tools": [tool], "input": [{"role": "user", "content": "hi"}, call,
            {"type": "function_call_output", "call_id": "call_1", "output": result}]})
    };
    let thought = json!({"reasoning": {"effort": "high"}, "input": [{"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "marked thoughts"}], "encrypted_content": "bWFya2VkIHNlYWw="},
        {"role": "assistant", "content": [{"type": "output_text", "text": "yes"}]}, {"role": "user", "content": "go on"}]});
    Some(match word {
        "words of the user" => hi(),
        "instructions" => with(hi(), json!({"instructions": "marked instructions"})),
        "picture, inline" => asking(json!([picture])),
        "picture, by URL" => asking(json!([{"type": "input_image", "image_url": "https://marked.test/a.png"}])),
        "PDF, inline" => asking(
            json!([{"type": "input_file", "filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PICTURE}")}]),
        ),
        "tool on offer" => with(hi(), json!({"tools": [tool]})),
        "tool that must be called" => {
            with(hi(), json!({"tools": [tool], "tool_choice": {"type": "function", "name": "marked_tool"}}))
        }
        "call of a tool, returned" | "result of a tool" => after("marked result".into()),
        "one call at a time" => with(hi(), json!({"tools": [tool], "parallel_tool_calls": false})),
        "picture in a result" => after(json!([picture])),
        "thoughts, returned" | "seal on the thoughts, returned" => thought,
        "JSON schema of the answer" => with(
            hi(),
            json!({"text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": SCHEMA()}}}),
        ),
        "longest answer" => with(hi(), json!({"max_output_tokens": 4321})),
        "temperature" => with(hi(), json!({"temperature": 0.4375})),
        "end user" => with(hi(), json!({"user": "marked-user"})),
        _ => return None,
    })
}

fn said_in_gemini(word: &str) -> Option<Value> {
    let asking = |parts: Value| json!({"contents": [{"role": "user", "parts": parts}]});
    let hi = || asking(json!([{"text": "marked words"}]));
    let inline = |kind: &str| json!({"inlineData": {"mimeType": kind, "data": PICTURE}});
    let tools = json!([{"functionDeclarations": [{"name": "marked_tool", "description": "d", "parameters": {"type": "object", "properties": {"marked_property": {"type": "string"}}}}]}]);
    let generation = |settings: Value| with(hi(), json!({"generationConfig": settings}));
    let history = |part: Value| {
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [part, {"text": "yes"}]},
            {"role": "user", "parts": [{"text": "go on"}]}], "generationConfig": {"thinkingConfig": {"thinkingBudget": 2000}}})
    };
    Some(match word {
        "words of the user" => hi(),
        "instructions" => with(hi(), json!({"systemInstruction": {"parts": [{"text": "marked instructions"}]}})),
        "picture, inline" => asking(json!([inline("image/png")])),
        "PDF, inline" => asking(json!([inline("application/pdf")])),
        "picture, by URL" => {
            asking(json!([{"fileData": {"mimeType": "image/png", "fileUri": "https://marked.test/a.png"}}]))
        }
        "tool on offer" => with(hi(), json!({"tools": tools})),
        "tool that must be called" => with(
            hi(),
            json!({"tools": tools, "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["marked_tool"]}}}),
        ),
        "call of a tool, returned" | "result of a tool" => {
            json!({"tools": tools, "contents": [{"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "marked_tool", "args": {"marked_property": "marked_argument"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "marked_tool", "response": {"result": "marked result"}}}]}]})
        }
        "thoughts, returned" | "seal on the thoughts, returned" => {
            history(json!({"text": "marked thoughts", "thought": true, "thoughtSignature": "bWFya2VkIHNlYWw="}))
        }
        "JSON schema of the answer" => generation(json!({"responseMimeType": "application/json",
            "responseSchema": {"type": "object", "properties": {"marked_property": {"type": "string"}}}})),
        "text that ends the answer" => generation(json!({"stopSequences": ["MARKED STOP"]})),
        "longest answer" => generation(json!({"maxOutputTokens": 4321})),
        "temperature" => generation(json!({"temperature": 0.4375})),
        _ => return None,
    })
}

fn ask(client: &str, body: &Value) -> Ask {
    Ask::read(&json!({"operation": client, "body": body}))
}

fn sent(client: &str, body: &Value, target: &Arc<Target>) -> Result<String, Failure> {
    let mut draft = ask(client, body).draft(target)?;
    for wanted in draft.wants() {
        if let Wanted::Media(url) = wanted {
            draft.supply(&url, "image/png", PICTURE);
        }
    }
    let outgoing = draft.finish()?.outgoing;
    Ok(String::from_utf8_lossy(&outgoing.body).into_owned())
}

/// What a provider may answer, and the marks by which a client finds it again.
const ANSWERS: &[(&str, &str)] = &[
    ("words", "marked words"),
    ("call of a tool", "marked_tool"),
    ("arguments of a call", "marked_argument"),
    ("thoughts", "marked thoughts"),
    ("seal on the thoughts", "bWFya2VkIHNlYWw="),
    ("sealed thoughts", "c2VhbGVkIHRob3VnaHRz"),
    ("input tokens", "7654"),
    ("output tokens", "1234"),
    ("tokens read from the cache", "4567"),
    ("tokens thought", "321"),
];

fn usage() -> Usage {
    Usage { input: 7654 + 4567, output: 1234, cache_read: 4567, reasoning: 321, ..Usage::default() }
}

fn answer() -> ChatResponse {
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "marked_tool".to_owned(),
        arguments: "{\"marked_property\":\"marked_argument\"}".to_owned(),
        ..ToolCall::default()
    };
    let parts = vec![
        Part::Thinking { text: "marked thoughts".to_owned(), signature: Some("bWFya2VkIHNlYWw=".to_owned()) },
        Part::RedactedThinking { data: "c2VhbGVkIHRob3VnaHRz".to_owned() },
        Part::text("marked words"),
        Part::ToolCall(call),
    ];
    let choice = Choice {
        index: 0,
        parts,
        finish: Finish::ToolCalls,
        native_finish: None,
        extras: Map::new(),
        message_extras: Map::new(),
    };
    ChatResponse {
        id: "id".to_owned(),
        model: "m".to_owned(),
        choices: vec![choice],
        usage: Some(usage()),
        ..ChatResponse::default()
    }
}

fn answer_in_pieces() -> Vec<ChatChunk> {
    let delta = |delta: Delta| ChatChunk::Delta { choice: 0, delta };
    vec![
        ChatChunk::Start { id: "id".to_owned(), model: "m".to_owned() },
        delta(Delta::Thinking("marked thoughts".to_owned())),
        delta(Delta::Signature("bWFya2VkIHNlYWw=".to_owned())),
        delta(Delta::RedactedThinking("c2VhbGVkIHRob3VnaHRz".to_owned())),
        delta(Delta::Text("marked words".to_owned())),
        delta(Delta::ToolStart { index: 0, id: "call_1".to_owned(), name: "marked_tool".to_owned() }),
        delta(Delta::ToolArguments { index: 0, fragment: "{\"marked_property\":\"marked_argument\"}".to_owned() }),
        ChatChunk::Finish { choice: 0, finish: Finish::ToolCalls, native: None },
        ChatChunk::Usage { usage: usage(), extras: Map::new() },
    ]
}

/// The whole answer and the streamed one, as this client gets them.
fn told(client: &str) -> (String, String) {
    let mut ask = ask(client, &said(client, "words of the user").expect("everyone can say words"));
    ask.context.include_usage = true;
    let whole = String::from_utf8(ask.client.write(&answer(), &ask.context)).expect("text");
    ask.context.stream = true;
    let (mut encoder, mut out) = (ask.client.encoder(&ask.context), Vec::new());
    for chunk in answer_in_pieces() {
        encoder.encode(&chunk, &mut out);
    }
    encoder.close(None, &mut out);
    (whole, String::from_utf8(out).expect("text"))
}

/// Marks of tokens may be sums: a dialect that counts the cache apart says 7654, one that does not says 12221.
fn finds(text: &str, mark: &str) -> bool {
    text.contains(mark) || (mark == "7654" && text.contains("12221"))
}

fn page() -> (String, Vec<String>) {
    let (targets, mut lost, mut out) = (targets(), Vec::new(), HEAD.to_owned());
    for (client, title) in CLIENTS {
        let columns: Vec<&str> = targets.iter().map(|(name, _)| *name).collect();
        let _ = writeln!(
            out,
            "\n## {title}: requests\n\n| | {} |\n|---|{}",
            columns.join(" | "),
            "---|".repeat(columns.len())
        );
        for word in WORDS {
            let cells: Vec<&str> = targets
                .iter()
                .map(|(name, target)| {
                    let Some(body) = said(client, word.name) else { return "–" };
                    let sent = sent(client, &body, target);
                    let found = sent.as_ref().is_ok_and(|sent| word.marks.iter().any(|mark| sent.contains(mark)));
                    if word.vital && !found {
                        lost.push(format!(
                            "{client} → {name} loses: {} ({:?})",
                            word.name,
                            sent.err().map(|failure| failure.message)
                        ));
                    }
                    if found { "yes" } else { "no" }
                })
                .collect();
            let _ = writeln!(out, "| {} | {} |", word.name, cells.join(" | "));
        }
    }
    out.push_str("\n## Answers\n\nWhole and streamed.\n\n| |");
    for (_, title) in CLIENTS {
        let _ = write!(out, " {title} |");
    }
    out.push_str("\n|---|---|---|---|---|\n");
    let all: Vec<(String, String)> = CLIENTS.iter().map(|(client, _)| told(client)).collect();
    for (name, mark) in ANSWERS {
        let cells: Vec<&str> = all
            .iter()
            .map(|(whole, stream)| match (finds(whole, mark), finds(stream, mark)) {
                (true, true) => "yes",
                (true, false) => "whole only",
                (false, true) => "streamed only",
                (false, false) => "no",
            })
            .collect();
        let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
    }
    (out, lost)
}

#[test]
fn the_matrix_of_dialects_says_what_gets_through() {
    let (page, lost) = page();
    assert!(lost.is_empty(), "{lost:#?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference");
    let mut findings = Findings::new();
    findings.add(Case { name: "docs/reference".to_owned(), folder }.compare_text("dialects.md", &page));
    findings.assert_none();
}

/// What a client was told, it can say again: the next turn's history holds the call and its id.
#[test]
fn a_streamed_answer_says_what_a_whole_one_says() {
    for (client, _) in CLIENTS {
        let (whole, stream) = told(client);
        for (name, mark) in ANSWERS {
            assert_eq!(finds(&whole, mark), finds(&stream, mark), "{client}: {name}");
        }
    }
    let _ = (ID, NOW);
}

//! Answers made up at random, given by each kind of provider, whole and streamed, to each kind of client. The client's own
//! reader must hear in both what was answered, and in a stream the same wherever the network cuts it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use tollgate_providers::{
    Target,
    codec::ProviderDialect,
    dialects::{anthropic::MESSAGES, gemini::CONTENT, openai::CHAT, openai_responses::RESPONSES},
    translate::Draft,
};
use tollgate_wire::{
    Usage,
    chat::{ChatChunk, ChatRequest, Delta, Finish, Part},
    framing::Framer,
    http::Reply,
};

use super::{
    KINDS, Kind, gets_answer,
    told::{Told, sent, told},
};
use crate::{matrix::CLIENTS, world::Ask};

const LIMIT: usize = 1 << 20;

/// An answer as a client hears it.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    thought: String,
    seal: Option<String>,
    words: String,
    calls: Vec<(String, String, Value)>,
    finish: Option<Finish>,
    usage: Usage,
}

/// Who reads what a client of this dialect is answered.
fn reader(client: &str) -> (&'static dyn ProviderDialect, &'static str) {
    match client {
        "chat" => (&CHAT, "OpenAI chat"),
        "messages" => (&MESSAGES, "Anthropic"),
        "responses" => (&RESPONSES, "OpenAI responses"),
        _ => (&CONTENT, "Gemini"),
    }
}

fn hear_whole(client: &str, body: Bytes, kinds: &[Kind]) -> Result<Heard, String> {
    let (dialect, target) = own(client, kinds);
    let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), body };
    let response = dialect.response(&reply, &ChatRequest::default(), target).map_err(|why| why.message)?;
    let choice = response.choices.first().ok_or("no choice")?;
    let mut heard =
        Heard { finish: Some(choice.finish), usage: response.usage.unwrap_or_default(), ..Heard::default() };
    for part in &choice.parts {
        match part {
            Part::Text { text, .. } => heard.words.push_str(text),
            Part::Thinking { text, signature } => {
                heard.thought.push_str(text);
                heard.seal = signature.clone().filter(|seal| !seal.is_empty()).or(heard.seal);
            }
            Part::ToolCall(call) => heard.calls.push((call.id.clone(), call.name.clone(), read(&call.arguments)?)),
            other => return Err(format!("nobody said {other:?}")),
        }
    }
    Ok(heard)
}

fn own<'k>(client: &str, kinds: &'k [Kind]) -> (&'static dyn ProviderDialect, &'k Target) {
    let (dialect, column) = reader(client);
    let kind = kinds.iter().find(|kind| kind.name == column).expect("a kind");
    (dialect, &kind.target)
}

fn read(arguments: &str) -> Result<Value, String> {
    serde_json::from_str(arguments).map_err(|_| format!("arguments that are no JSON: {arguments}"))
}

fn hear_stream(client: &str, bytes: &[u8], kinds: &[Kind]) -> Result<Heard, String> {
    let (dialect, target) = own(client, kinds);
    let (mut framer, mut decoder) =
        (Framer::new(dialect.framing(target), LIMIT), dialect.decoder(&ChatRequest::default(), target));
    let mut chunks = Vec::new();
    framer.push(bytes).map_err(|why| why.to_string())?;
    while let Some(frame) = framer.next_frame().map_err(|why| why.to_string())? {
        decoder.feed(&frame, &mut chunks).map_err(|why| why.message)?;
    }
    decoder.finish(&mut chunks).map_err(|why| why.message)?;
    let mut heard = Heard::default();
    let mut arguments: Vec<String> = Vec::new();
    for chunk in chunks {
        match chunk {
            ChatChunk::Finish { finish, .. } => heard.finish = Some(finish),
            ChatChunk::Usage { usage, .. } => heard.usage = usage,
            ChatChunk::Delta { delta, .. } => match delta {
                Delta::Text(text) => heard.words.push_str(&text),
                Delta::Thinking(text) => heard.thought.push_str(&text),
                Delta::Signature(seal) => heard.seal = Some(seal),
                Delta::ToolStart { id, name, .. } => {
                    heard.calls.push((id, name, Value::Null));
                    arguments.push(String::new());
                }
                Delta::ToolArguments { index, fragment } => {
                    let place = usize::try_from(index).expect("few calls");
                    arguments.get_mut(place).ok_or("arguments of no call")?.push_str(&fragment);
                }
                _ => {}
            },
            ChatChunk::Start { .. } => {}
        }
    }
    for (call, text) in heard.calls.iter_mut().zip(arguments) {
        call.2 = read(&text)?;
    }
    Ok(heard)
}

/// What this client should hear of what this kind of provider answers.
fn expected(client: &str, kind: &Kind, told: &Told) -> Heard {
    let counts_apart = !matches!(kind.column, "Ollama chat" | "Cohere v2" | "Bedrock Converse");
    let thinks_apart = counts_apart && kind.column != "Anthropic" && gets_answer(client, "tokens thought");
    let caches = kind.column != "Ollama chat";
    let seals = !matches!(kind.column, "Ollama chat" | "Cohere v2");
    let finish = match told.finish {
        // Ollama has no such word.
        Finish::ContentFilter if kind.column == "Ollama chat" => Finish::Stop,
        finish => finish,
    };
    Heard {
        thought: told.thought.as_ref().map(|(pieces, _)| pieces.concat()).unwrap_or_default(),
        seal: told.thought.as_ref().map(|(_, seal)| seal.clone()).filter(|_| seals),
        words: told.words.concat(),
        calls: told
            .calls
            .iter()
            .map(|call| (call.id.clone(), call.name.clone(), call.arguments.clone().into()))
            .collect(),
        finish: Some(finish),
        usage: Usage {
            reasoning: if thinks_apart { told.usage.reasoning } else { 0 },
            cache_read: if caches { told.usage.cache_read } else { 0 },
            ..told.usage
        },
    }
}

fn asked(client: &str, stream: bool) -> Ask {
    let hi = json!([{"role": "user", "content": "hi"}]);
    let mut body = match client {
        "chat" => json!({"messages": hi, "stream_options": {"include_usage": true}}),
        "messages" => json!({"messages": hi, "max_tokens": 100}),
        "responses" => json!({"input": "hi"}),
        _ => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
    };
    body["stream"] = stream.into();
    Ask::read(&json!({"operation": client, "body": body}))
}

/// What the client gets of a stream that comes in these pieces.
fn streamed<'p>(client: &str, kind: &Kind, pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<Vec<u8>, String> {
    let prepared = asked(client, true).draft(&kind.target).and_then(Draft::finish).map_err(|why| why.message)?;
    let mut stream = prepared.answers.stream(LIMIT).map_err(|why| why.message)?;
    let mut out = Vec::new();
    for piece in pieces {
        stream.push(piece, &mut out).map_err(|why| why.message)?;
    }
    if !stream.progress().done {
        stream.finish(&mut out).map_err(|why| why.message)?;
    }
    stream.close(None, &mut out);
    Ok(out)
}

/// What goes wrong on the way of an answer, if something does.
fn fault(client: &str, kind: &Kind, kinds: &[Kind], told: &Told, cuts: &[usize]) -> Result<(), String> {
    let prepared = asked(client, false).draft(&kind.target).and_then(Draft::finish).map_err(|why| why.message)?;
    let mut told = told.clone();
    if told.finish == Finish::ContentFilter && (client == "gemini" || kind.column == "Gemini") {
        // As in LiteLLM, the words of a whole answer that Google's filter ended are not told.
        told.finish = Finish::Stop;
    }
    let told = &told;
    let sent = sent(kind, &prepared.outgoing.url, told);
    let expected = expected(client, kind, told);
    let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), body: sent.whole.into() };
    let answered = prepared.answers.whole(&reply).map_err(|why| why.message)?;
    let whole = hear_whole(client, answered.body, kinds).map_err(|why| format!("whole: {why}"))?;
    if whole != expected {
        return Err(format!("whole: {whole:?}, not {expected:?}"));
    }
    let out = streamed(client, kind, [&sent.stream[..]]).map_err(|why| format!("stream: {why}"))?;
    let heard = hear_stream(client, &out, kinds).map_err(|why| format!("stream: {why}"))?;
    if heard != expected {
        return Err(format!("stream: {heard:?}, not {expected:?}"));
    }
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (sent.stream.len() + 1)).collect();
    places.sort_unstable();
    let ends = places.iter().copied().chain([sent.stream.len()]);
    let pieces = ends.scan(0, |from, to| Some(&sent.stream[std::mem::replace(from, to)..to]));
    let again = streamed(client, kind, pieces).map_err(|why| format!("cut at {places:?}: {why}"))?;
    if again == out { Ok(()) } else { Err(format!("cut at {places:?}, the stream is another")) }
}

/// One provider for each dialect: how the others are asked differs, not what they answer.
fn answering(kinds: &[Kind]) -> impl Iterator<Item = (&'static str, &Kind)> {
    let own = kinds.iter().filter(|kind| kind.name == kind.column);
    own.flat_map(|kind| CLIENTS.iter().map(move |(client, _)| (*client, kind)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_a_provider_answers_is_what_a_client_hears(told in told(), cuts in vec(any::<usize>(), 0..9)) {
        let kinds = &*KINDS;
        let faults: Vec<String> = answering(kinds)
            .filter_map(|(client, kind)| {
                let fault = fault(client, kind, kinds, &told, &cuts).err()?;
                Some(format!("{client} ← {}: {fault}", kind.name))
            })
            .collect();
        prop_assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

//! What providers answer, whole and streamed, by families of dialects; read for the client that asked, and for clients of
//! the other dialects.

use std::{fs, path::Path, sync::Arc};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tollgate_kit::{
    fuzz::{Dice, spoil_json, spoil_stream},
    golden::Case,
};
use tollgate_providers::{Target, translate::Answers};
use tollgate_wire::http::Reply;

use super::{all_cases, cut, folder, prepare, run, target_of};
use crate::world::Ask;

/// Larger than any event of a fixture, or of what becomes of one.
const LIMIT: usize = 1 << 20;

/// The family of a case: whose decoders its answer runs through.
fn family(case: &Case) -> &'static str {
    let model = case.need_json("target.json")["model"].as_str().unwrap_or_default().to_owned();
    match folder(case) {
        "openai" | "azure" if model.contains("/responses/") || case.name.contains("/responses_") => "responses",
        "vertex_ai" if model.contains("claude") => "anthropic",
        "azure_ai" if model.contains("claude") => "anthropic",
        "vertex_ai" if model.contains("gemini") => "gemini",
        "anthropic" | "anthropic_text" => "anthropic",
        "bedrock" | "sagemaker" | "sagemaker_chat" => "aws",
        "cohere" => "cohere",
        "gemini" | "palm" => "gemini",
        "ollama" | "ollama_chat" => "ollama",
        "ai21_chat" | "custom" | "huggingface" | "nlp_cloud" | "petals" | "predibase" | "replicate" | "sap"
        | "snowflake" | "triton" | "vllm" | "watsonx" | "watsonx_text" => "texts",
        _ => "openai",
    }
}

/// Where decoders of streams stand in the sources, and whose family their recordings are.
const DECODERS: &[(&str, &str)] = &[
    ("anthropic/splice.rs", "anthropic"),
    ("anthropic/stream.rs", "anthropic"),
    ("anthropic_complete.rs", "anthropic"),
    ("bedrock/claude.rs", "aws"),
    ("bedrock/invoke.rs", "aws"),
    ("bedrock/messages.rs", "aws"),
    ("bedrock/stream.rs", "aws"),
    ("bedrock/texts.rs", "aws"),
    ("cohere/stream.rs", "cohere"),
    ("cohere/stream_v1.rs", "cohere"),
    ("gemini/native.rs", "gemini"),
    ("gemini/stream.rs", "gemini"),
    ("huggingface.rs", "texts"),
    ("huggingface/generate.rs", "texts"),
    ("ollama/chat.rs", "ollama"),
    ("ollama/generate.rs", "ollama"),
    ("openai/own_id.rs", "openai"),
    ("openai/stream.rs", "openai"),
    ("openai_responses/splice.rs", "responses"),
    ("openai_responses/stream.rs", "responses"),
    ("replicate.rs", "texts"),
    ("sagemaker/chat.rs", "aws"),
    ("sagemaker/text.rs", "aws"),
    ("sap.rs", "texts"),
    ("triton.rs", "texts"),
    ("watsonx/text.rs", "texts"),
    // Those that have no streams.
    ("palm.rs", ""),
    ("text_answer.rs", ""),
];

/// A case, and who reads its answer: its own client, and one of each other dialect.
struct Reading {
    case: String,
    target: Arc<Target>,
    asks: Vec<Ask>,
}

impl Reading {
    fn of(case: &Case) -> Option<Self> {
        let target = target_of(case)?;
        let own = Ask::read(&case.need_json("ask.json"));
        let stream = own.context.stream;
        let ask = |operation: &str, body: Value| {
            let mut body = body;
            body["model"] = "my-model".into();
            body["stream"] = stream.into();
            body["stream_options"] = json!({"include_usage": true});
            Ask::read(&json!({"operation": operation, "body": body}))
        };
        let hi = json!([{"role": "user", "content": "hi"}]);
        let others = [
            ask("chat", json!({"messages": hi})),
            ask("messages", json!({"messages": hi, "max_tokens": 100})),
            ask("responses", json!({"input": "hi"})),
            ask("gemini", json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})),
            ask("completions", json!({"prompt": "hi"})),
        ];
        let asks = [own].into_iter().chain(others).collect();
        let reading = Self { case: case.name.clone(), target, asks };
        reading.answers(0).map(|_| reading)
    }

    /// What reads the answer for this client.
    fn answers(&self, client: usize) -> Option<Answers> {
        let ask = self.asks.get(client)?;
        prepare(ask, &self.target).ok().map(|prepared| prepared.answers)
    }
}

/// The recorded answers of a family as seeds, behind a line that says whose answer it is and which client reads it.
fn seeds(family: &str, recorded: impl Fn(&Case) -> Option<Vec<u8>>) -> (Vec<Reading>, Vec<Vec<u8>>) {
    let (mut readings, mut seeds) = (Vec::new(), Vec::new());
    for case in all_cases().iter().filter(|case| self::family(case) == family) {
        let (Some(bytes), Some(reading)) = (recorded(case), Reading::of(case)) else { continue };
        let clients = 0..reading.asks.len();
        seeds.extend(clients.map(|client| [format!("{} {client}\n", case.name).as_bytes(), &bytes].concat()));
        readings.push(reading);
    }
    (readings, seeds)
}

fn after_head(input: &[u8]) -> usize {
    input.iter().position(|byte| *byte == b'\n').map_or(input.len(), |end| end + 1)
}

fn behind_head(change: impl Fn(&mut Vec<u8>, &[u8], &mut Dice)) -> impl Fn(&mut Vec<u8>, &[u8], &mut Dice) {
    move |bytes, other, dice| {
        let mut rest = bytes.split_off(after_head(bytes));
        change(&mut rest, &other[after_head(other)..], dice);
        bytes.append(&mut rest);
    }
}

fn open<'i>(readings: &[Reading], input: &'i [u8]) -> Option<(Answers, &'i [u8])> {
    let (head, rest) = input.split_at(after_head(input));
    let (case, client) = std::str::from_utf8(head).ok()?.trim_end().split_once(' ')?;
    let reading = readings.iter().find(|reading| reading.case == case)?;
    Some((reading.answers(client.parse().ok()?)?, rest))
}

/// Text as it was recorded; AWS's messages as the JSON that the fixture holds, framed only when it is read, because a
/// changed message would fail its checksum and get no further.
fn recorded_stream(case: &Case) -> Option<Vec<u8>> {
    let files = ["reply.sse", "reply.ndjson", "reply.events.json"];
    files.iter().find_map(|file| case.bytes(file))
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let Ok(Value::Array(events)) = serde_json::from_slice(bytes) else { return bytes.to_vec() };
    let mut framed = Vec::new();
    for event in &events {
        let (kind, name, word) = match event["exception"].as_str() {
            Some(word) => ("exception", ":exception-type", word),
            None => ("event", ":event-type", event["event"].as_str().unwrap_or_default()),
        };
        let payload = event["data"].as_str().map_or_else(|| event["data"].to_string(), str::to_owned);
        let header = |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
        let message =
            Message::new(Bytes::from(payload)).add_header(header(":message-type", kind)).add_header(header(name, word));
        // What is too long for a header is not sent.
        let _ = write_message_to(&message, &mut framed);
    }
    framed
}

/// What the client gets of a stream that comes in these pieces.
fn streamed<'p>(answers: Answers, pieces: impl IntoIterator<Item = &'p [u8]>) -> Option<Vec<u8>> {
    let mut stream = answers.stream(LIMIT).ok()?;
    let (mut out, mut failed) = (Vec::new(), None);
    for piece in pieces {
        if failed.is_none() && !stream.progress().done {
            failed = stream.push(piece, &mut out).err();
        }
    }
    match failed.or_else(|| if stream.progress().done { None } else { stream.finish(&mut out).err() }) {
        Some(failure) => stream.fail(&failure, &mut out),
        None => stream.close(Some(0.1), &mut out),
    }
    Some(out)
}

fn spoil_streams(family: &str) {
    let (readings, seeds) = seeds(family, recorded_stream);
    run(&format!("stream_{family}"), &seeds, behind_head(spoil_stream), |input| {
        let Some((answers, bytes)) = open(&readings, input) else { return };
        let Some((again, _)) = open(&readings, input) else { return };
        let bytes = framed(bytes);
        let Some(whole) = streamed(answers, [&bytes[..]]) else { return };
        assert!(std::str::from_utf8(&whole).is_ok(), "what clients get is text");
        let pieces = streamed(again, cut(&bytes)).expect("as before");
        assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole), "wherever the network cuts");
    });
}

#[test]
fn every_decoder_of_streams_is_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dialects");
    let sources = Case { name: "src/dialects".to_owned(), folder };
    let (mut folders, mut found) = (vec![sources.folder.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let name = entry.path();
            let name = name.strip_prefix(&sources.folder).expect("below it").to_str().expect("text");
            let text = sources.need_text(name);
            if ["impl ChatDecoder for", "impl PassedStream for"].iter().any(|mark| text.contains(mark)) {
                found.push(name.to_owned());
            }
        }
    }
    found.sort_unstable();
    let mut known: Vec<&str> = DECODERS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(found, known, "a decoder names the family whose recordings run through it");
}

#[test]
fn no_spoiled_stream_of_openais_breaks_a_decoder() {
    spoil_streams("openai");
}

#[test]
fn no_spoiled_stream_of_the_responses_api_breaks_a_decoder() {
    spoil_streams("responses");
}

#[test]
fn no_spoiled_stream_of_anthropics_breaks_a_decoder() {
    spoil_streams("anthropic");
}

#[test]
fn no_spoiled_stream_of_geminis_breaks_a_decoder() {
    spoil_streams("gemini");
}

#[test]
fn no_spoiled_stream_of_awss_breaks_a_decoder() {
    spoil_streams("aws");
}

#[test]
fn no_spoiled_stream_of_coheres_breaks_a_decoder() {
    spoil_streams("cohere");
}

#[test]
fn no_spoiled_stream_of_ollamas_breaks_a_decoder() {
    spoil_streams("ollama");
}

#[test]
fn no_spoiled_stream_of_bare_texts_breaks_a_decoder() {
    spoil_streams("texts");
}

fn recorded_answer(case: &Case) -> Option<Vec<u8>> {
    let body = match case.json("reply.json")? {
        Value::Array(replies) => replies.last()?["body"].clone(),
        reply => reply["body"].clone(),
    };
    Some(body.as_str().map_or_else(|| body.to_string(), str::to_owned).into_bytes())
}

fn spoil_answers(family: &str) {
    let (readings, seeds) = seeds(family, recorded_answer);
    run(&format!("answer_{family}"), &seeds, behind_head(spoil_json), |input| {
        let Some((answers, bytes)) = open(&readings, input) else { return };
        let reply =
            |status: StatusCode| Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(bytes) };
        let good = reply(StatusCode::OK);
        if !matches!(answers.next(&good), Ok(Some(_)) | Err(_)) {
            let _ = answers.whole(&good);
            let _ = answers.retell(&good).map(|retold| retold.map(|retold| retold.close(Some(0.1))));
        }
        for status in [StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            let _ = answers.otherwise(&reply(status));
            assert!(answers.failure(&reply(status)).http_status() >= 400);
        }
    });
}

#[test]
fn no_spoiled_answer_of_openais_breaks_a_reader() {
    spoil_answers("openai");
}

#[test]
fn no_spoiled_answer_of_the_responses_api_breaks_a_reader() {
    spoil_answers("responses");
}

#[test]
fn no_spoiled_answer_of_anthropics_breaks_a_reader() {
    spoil_answers("anthropic");
}

#[test]
fn no_spoiled_answer_of_geminis_breaks_a_reader() {
    spoil_answers("gemini");
}

#[test]
fn no_spoiled_answer_of_awss_breaks_a_reader() {
    spoil_answers("aws");
}

#[test]
fn no_spoiled_answer_of_coheres_breaks_a_reader() {
    spoil_answers("cohere");
}

#[test]
fn no_spoiled_answer_of_ollamas_breaks_a_reader() {
    spoil_answers("ollama");
}

#[test]
fn no_spoiled_answer_of_bare_texts_breaks_a_reader() {
    spoil_answers("texts");
}

//! What is read before anybody knows its words: framings, raw bodies, forms, paths, and what is only read along.

use bytes::Bytes;
use http::Uri;
use serde_json::Value;
use tollgate_kit::fuzz::{garble, spoil_json, spoil_stream};
use tollgate_providers::{
    codec::AnswerContext, forms, gauge::Gauge, params::CallParams, passage, realtime, translate::Operation,
};
use tollgate_wire::{
    RawBody,
    form::{Form, Lead, Watch, boundary},
    framing::{Framer, Framing},
    json,
};

use super::{all_cases, cut, run, targets};
use crate::world;

/// Small enough to be met.
const LIMIT: usize = 4096;

fn streams() -> Vec<Vec<u8>> {
    let text = all_cases();
    let text = text.iter().filter_map(|case| ["reply.sse", "reply.ndjson"].iter().find_map(|file| case.bytes(file)));
    text.collect()
}

fn messages_of_aws() -> Vec<Vec<u8>> {
    all_cases().iter().filter_map(|case| world::aws_events(&case.json("reply.events.json")?)).collect()
}

type Frames = Vec<(Option<String>, Vec<u8>, bool)>;

/// The frames of a stream that comes in these pieces, and whether it was refused.
fn frames<'p>(framing: Framing, limit: usize, pieces: impl IntoIterator<Item = &'p [u8]>) -> (Frames, bool) {
    let (mut framer, mut frames) = (Framer::new(framing, limit), Vec::new());
    for piece in pieces {
        if framer.push(piece).is_err() {
            return (frames, true);
        }
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => {
                    frames.push((frame.event.map(Into::into), frame.data.into_owned(), frame.is_exception));
                }
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    if let Some(frame) = framer.finish() {
        frames.push((frame.event.map(Into::into), frame.data.into_owned(), frame.is_exception));
    }
    (frames, false)
}

fn spoil_frames(name: &str, framing: Framing, seeds: &[Vec<u8>]) {
    run(name, seeds, garble, |input| {
        let whole = frames(framing, 1 << 24, [input]);
        assert_eq!(frames(framing, 1 << 24, cut(input)), whole, "wherever the network cuts");
        for (_, data, _) in frames(framing, LIMIT, cut(input)).0 {
            assert!(data.len() <= LIMIT + 97, "a frame within its bound");
        }
    });
}

#[test]
fn no_bytes_break_server_sent_events() {
    spoil_frames("framer_sse", Framing::Sse, &streams());
}

#[test]
fn no_bytes_break_lines() {
    spoil_frames("framer_lines", Framing::Lines, &streams());
}

#[test]
fn no_bytes_break_awss_messages() {
    spoil_frames("framer_aws", Framing::AwsEvents, &messages_of_aws());
}

#[test]
fn no_body_breaks_the_raw_reader_or_the_lenient_one() {
    let seeds: Vec<Vec<u8>> =
        all_cases().iter().map(|case| case.need_json("ask.json")["body"].to_string().into_bytes()).collect();
    run("raw_body", &seeds, garble, |input| {
        if let Ok(body) = RawBody::parse(&Bytes::copy_from_slice(input)) {
            let written = body.to_bytes();
            let again = RawBody::parse(&written).expect("what we write can be read");
            assert_eq!(again.to_bytes(), written);
            let _ = body.to_map();
        }
        let Some(lenient) = std::str::from_utf8(input).ok().and_then(json::strict_from_lenient) else { return };
        // What is strict already means the same afterwards.
        if let Ok(document) = serde_json::from_slice::<Value>(input) {
            assert_eq!(serde_json::from_str::<Value>(&lenient).ok(), Some(document));
        }
    });
}

/// Forms behind a line that is their content type: sound to be written down, pictures to be changed, files for batches.
fn forms() -> Vec<Vec<u8>> {
    let file = |name: &str, kind: &str| {
        format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"a \\\"b\\\".x\"\r\nContent-Type: {kind}\r\n\r\nBYTES\r\n--x not yet\r\n"
        )
    };
    let field = |name: &str, value: &str| format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let form = |parts: &[String]| {
        let parts: String = parts.iter().map(|part| format!("--x1\r\n{part}")).collect();
        format!("multipart/form-data; boundary=x1\n{parts}--x1--\r\n").into_bytes()
    };
    vec![
        form(&[field("model", "whisper-1"), field("temperature", "0.5"), file("file", "audio/wav")]),
        form(&[file("image[]", "image/png"), file("image[]", "image/png"), field("prompt", "é"), field("model", "m")]),
        form(&[field("purpose", "batch"), field("metadata", "{\"a\":1}"), file("file", "application/jsonl")]),
        form(&[]),
        b"Multipart/Form-Data ; charset=utf-8; boundary=\"a b\"\n\r\n--a b  \r\ncontent-disposition: form-data; name=stream\r\n\r\ntrue\r\n--a b--"
            .to_vec(),
    ]
}

#[test]
fn no_bytes_break_a_form() {
    let targets = targets();
    run("form", &forms(), garble, |input| {
        let at = input.iter().position(|byte| *byte == b'\n').unwrap_or_default();
        let (kind, body) = input.split_at(at);
        let Ok(kind) = std::str::from_utf8(kind) else { return };
        let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
        let Ok(boundary) = boundary(kind) else { return };
        watch(&boundary, &body);
        let Ok(form) = Form::parse(kind, &body) else { return };
        let lead = Lead::read(&boundary, &body).expect("a whole form has a beginning").expect("and an end");
        let rest = body.get(lead.at..).expect("within");
        let joined = Bytes::from([lead.to_bytes().as_ref(), rest].concat());
        assert_eq!(said(&Form::parse(kind, &joined).expect("as before")), said(&form), "its beginning read on the way");
        assert_eq!(said(&Form::parse(&form.content_type(), &form.to_bytes()).expect("ours")), said(&form));
        use_form(&form, &targets);
    });
}

fn said(form: &Form) -> Vec<(String, bool, Bytes)> {
    form.parts().map(|part| (part.name.clone(), part.is_file, part.content.clone())).collect()
}

fn watch(boundary: &str, body: &Bytes) {
    let watched = |pieces: Vec<&[u8]>| {
        let mut watch = Watch::new(boundary, &["model", "stream"]);
        pieces.into_iter().map(|piece| watch.push(piece)).find_map(Result::err)
    };
    assert_eq!(watched(cut(body)), watched(vec![body]), "wherever the network cuts");
}

fn use_form(form: &Form, targets: &[std::sync::Arc<tollgate_providers::Target>]) {
    let operations =
        [Operation::Transcriptions, Operation::Translations, Operation::ImageEdits, Operation::ImageVariations];
    for target in targets {
        for operation in operations {
            let prepared =
                forms::prepare(form.clone(), operation, target, &CallParams::default(), &AnswerContext::default());
            let Ok(prepared) = prepared else { continue };
            let kind = prepared.outgoing.headers["content-type"].to_str().expect("text");
            let sent = Form::parse(kind, &prepared.outgoing.body).expect("what we send is a form");
            assert_eq!(sent.text("model"), Some(target.model.as_str()));
        }
    }
}

#[test]
fn no_answer_breaks_who_reads_along() {
    let mut seeds = streams();
    let bodies = all_cases().into_iter().filter_map(|case| Some(case.json("reply.json")?["body"].to_string()));
    seeds.extend(bodies.map(String::into_bytes));
    run("gauge", &seeds, spoil_stream, |input| {
        for kind in ["application/json", "text/event-stream; charset=utf-8", "application/x-ndjson", "audio/mpeg"] {
            let read = |pieces: Vec<&[u8]>| {
                let mut gauge = Gauge::of(kind);
                pieces.into_iter().for_each(|piece| gauge.push(piece));
                gauge.finish();
                gauge.reading().clone()
            };
            assert_eq!(read(cut(input)), read(vec![input]), "wherever the network cuts");
        }
    });
}

#[test]
fn no_event_breaks_a_realtime_session() {
    let seeds = [
        r#"{"type":"session.updated","session":{"model":"gpt-realtime","input_audio_format":"pcm16","audio":{"input":{"transcription":{"model":"whisper-1"}}}}}"#,
        r#"{"type":"response.created","response":{"id":"r"}}"#,
        r#"{"type":"response.output_text.delta","delta":"words"}"#,
        r#"{"type":"response.output_audio_transcript.delta","delta":"words"}"#,
        r#"{"type":"response.done","response":{"status":"completed","usage":{"total_tokens":20,"input_tokens":12,"output_tokens":8,
            "input_token_details":{"text_tokens":2,"audio_tokens":10,"cached_tokens":1},"output_token_details":{"text_tokens":3,"audio_tokens":5}}}}"#,
        r#"{"type":"conversation.item.input_audio_transcription.completed","transcript":"words","usage":{"type":"duration","seconds":1.5}}"#,
        r#"{"type":"conversation.item.input_audio_transcription.completed","usage":{"type":"tokens","input_tokens":3,"output_tokens":1}}"#,
    ];
    run("realtime", &seeds.map(|seed| seed.as_bytes().to_vec()), spoil_json, |input| {
        if let Ok(text) = std::str::from_utf8(input) {
            let _ = realtime::event(text);
        }
    });
}

/// Two hosts of one owner: the clouds choose one by what a path asks of.
fn akin(host: &str, base: &str) -> bool {
    let owner = |host: &str| host.rsplitn(3, '.').take(2).map(str::to_owned).collect::<Vec<_>>();
    host == base
        || (["amazonaws.com", "googleapis.com"].iter().any(|cloud| base.ends_with(cloud)) && owner(host) == owner(base))
}

#[test]
fn no_path_leads_to_another_host() {
    let targets = targets();
    let seeds = [
        "/v1/messages?a=b&key=x",
        "/openai/deployments/gpt-4/chat/completions?api-version=2024-02-01",
        "/v1beta/models/gemini-2.5-pro:generateContent?alt=sse",
        "/model/anthropic.claude-3%3A0/converse-stream",
        "/agents/A/agentAliases/B/sessions/C/text",
        "/v1/projects/p/locations/europe-west4/publishers/google/models/m:predict",
        "/v1beta1/projects/p/locations/global/reasoningEngines/1:query",
        "/files/file-1/content",
        "/@host/..%2f%2e%2e//x\\y",
    ];
    run("passage", &seeds.map(|seed| seed.as_bytes().to_vec()), garble, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let path = format!("/{}", path.strip_prefix('/').unwrap_or(path));
        // What the server hands over is a path that HTTP knows.
        if format!("http://h{path}?{query}").parse::<Uri>().is_err() {
            return;
        }
        for target in &targets {
            let Some(base) = target.base_url.parse::<Uri>().ok().and_then(|base| base.host().map(str::to_owned)) else {
                continue;
            };
            for address in [passage::url(target, &path, query), passage::resource_url(target, &path, query)] {
                let Some(host) = address.ok().and_then(|url| url.parse::<Uri>().ok()?.host().map(str::to_owned)) else {
                    continue;
                };
                assert!(akin(&host, &base), "{}: {host} is not {base}", target.provider.name);
            }
        }
        if let Ok(url) = passage::endpoint_url("https://endpoint.test/base", &path, query) {
            assert_eq!(
                url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_owned)).as_deref(),
                Some("endpoint.test")
            );
        }
        let renamed = passage::with_model(&path, "a b/ü%");
        assert_eq!(passage::model_in(&renamed).is_some(), passage::model_in(&path).is_some());
        let _ = (passage::of_path(&path), passage::is_chat(&path));
        let left = passage::query_without(query, &["key"]);
        assert!(passage::query_value(&left, "key").is_none(), "a key that was shown is not passed on");
    });
}

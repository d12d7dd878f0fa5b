//! Spoiled input: the recorded requests and answers, changed at random, must never panic or hang a reader, whatever
//! comes of them. What once broke a reader is kept under `corpus/<target>/` and replayed first.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tollgate_kit::{
    fuzz::{self, Dice, garble, spoil_json, spoil_stream},
    golden::{Case, cases},
};
use tollgate_providers::{Target, codec::Wanted, translate::Answers};
use tollgate_wire::{
    RawBody,
    framing::{Framer, Framing},
    http::Reply,
    json,
};

use crate::{
    golden::FIXTURES,
    world::{self, Ask},
};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
/// Larger than any event of a fixture, and small enough to be met.
const LIMIT: usize = 64 << 10;

fn run(name: &str, seeds: &[Vec<u8>], change: impl Fn(&mut Vec<u8>, &[u8], &mut Dice), target: impl Fn(&[u8])) {
    fuzz::run(CORPUS, name, seeds, change, target);
}

/// The targets of all rows that have fixtures, one each.
fn targets() -> Vec<(String, Arc<Target>)> {
    let mut found: Vec<(String, Arc<Target>)> = Vec::new();
    for case in cases(Path::new(FIXTURES)) {
        let provider = folder(&case);
        if let (true, Ok(target)) =
            (found.iter().all(|(known, _)| *known != provider), world::target(&case.need_json("target.json")))
        {
            found.push((provider, target));
        }
    }
    found
}

fn folder(case: &Case) -> String {
    case.name.split('/').next().unwrap_or_default().to_owned()
}

/// Asks a spoiled request of every kind of target.
fn ask_everyone(operation: &str, everyone: &[(String, Arc<Target>)], body: &[u8]) {
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(body) else { return };
    let ask = Ask::read(&serde_json::json!({"operation": operation, "body": body}));
    for (_, target) in everyone {
        let Ok(mut draft) = ask.draft(target) else { continue };
        for wanted in draft.wants() {
            match wanted {
                Wanted::Media(url) => draft.supply(&url, "image/png", "AAAA"),
                Wanted::Document(url) => {
                    draft.supply_document(&url, "{\"chat_template\": \"{{ messages }}\"}".to_owned());
                }
            }
        }
        let _ = draft.finish();
    }
}

/// Every operation that fixtures ask for is a target.
#[test]
fn no_spoiled_request_breaks_a_reader() {
    let everyone = targets();
    let mut operations: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for case in cases(Path::new(FIXTURES)) {
        let ask = case.need_json("ask.json");
        let operation = ask["operation"].as_str().expect("an operation").to_owned();
        let body = ask["body"].to_string().into_bytes();
        match operations.iter_mut().find(|(known, _)| *known == operation) {
            Some((_, seeds)) => seeds.push(body),
            None => operations.push((operation, vec![body])),
        }
    }
    for (operation, seeds) in operations {
        let name = format!("request_{operation}");
        run(&name, &seeds, spoil_json, |input| ask_everyone(&operation, &everyone, input));
    }
}

fn answers(case: &Case) -> Option<Answers> {
    let target = world::target(&case.need_json("target.json")).ok()?;
    let mut draft = Ask::read(&case.need_json("ask.json")).draft(&target).ok()?;
    for wanted in draft.wants() {
        match wanted {
            Wanted::Media(url) => draft.supply(&url, "image/png", "AAAA"),
            Wanted::Document(_) => {}
        }
    }
    draft.finish().ok().map(|prepared| prepared.answers)
}

/// The index of a case, and its recorded answer behind it: a seed that knows who reads it.
fn seeds_of(cases: &[Case], recorded: impl Fn(&Case) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let of_case = |(index, case): (usize, &Case)| {
        let bytes = recorded(case)?;
        let index = u16::try_from(index).expect("few cases");
        answers(case).map(|_| [&index.to_be_bytes()[..], &bytes].concat())
    };
    cases.iter().enumerate().filter_map(of_case).collect()
}

fn with_index(change: impl Fn(&mut Vec<u8>, &[u8], &mut Dice)) -> impl Fn(&mut Vec<u8>, &[u8], &mut Dice) {
    move |bytes, other, dice| {
        let mut rest = bytes.split_off(2);
        change(&mut rest, other.get(2..).unwrap_or_default(), dice);
        bytes.append(&mut rest);
    }
}

fn split_index(input: &[u8]) -> Option<(usize, &[u8])> {
    let (index, rest) = input.split_first_chunk::<2>()?;
    Some((usize::from(u16::from_be_bytes(*index)), rest))
}

#[test]
fn no_spoiled_stream_breaks_a_decoder() {
    let all = cases(Path::new(FIXTURES));
    let streams = |case: &Case| {
        let text = ["reply.sse", "reply.ndjson"].iter().find_map(|file| case.bytes(file));
        text.or_else(|| world::aws_events(&case.json("reply.events.json")?))
    };
    let seeds = seeds_of(&all, streams);
    run("stream", &seeds, with_index(spoil_stream), |input| {
        let Some((index, bytes)) = split_index(input) else { return };
        let Some(mut stream) = all.get(index).and_then(answers).and_then(|answers| answers.stream(LIMIT).ok()) else {
            return;
        };
        let (mut out, mut failed) = (Vec::new(), None);
        for piece in bytes.chunks(1 + bytes.len() / 3) {
            if failed.is_none() && !stream.progress().done {
                failed = stream.push(piece, &mut out).err();
            }
        }
        match failed.or_else(|| if stream.progress().done { None } else { stream.finish(&mut out).err() }) {
            Some(failure) => stream.fail(&failure, &mut out),
            None => stream.close(Some(0.1), &mut out),
        }
        assert!(String::from_utf8(out).is_ok(), "what clients get is text");
    });
}

#[test]
fn no_spoiled_answer_breaks_a_reader() {
    let all = cases(Path::new(FIXTURES));
    let whole = |case: &Case| match case.json("reply.json")? {
        Value::Array(replies) => Some(replies.last()?["body"].to_string().into_bytes()),
        reply => Some(reply["body"].to_string().into_bytes()),
    };
    let seeds = seeds_of(&all, whole);
    run("answer", &seeds, with_index(spoil_json), |input| {
        let Some((index, bytes)) = split_index(input) else { return };
        let Some(answers) = all.get(index).and_then(answers) else { return };
        let reply =
            |status: StatusCode| Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(bytes) };
        let good = reply(StatusCode::OK);
        if !matches!(answers.next(&good), Ok(Some(_)) | Err(_)) {
            let _ = answers.whole(&good);
        }
        for status in [StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            assert!(answers.failure(&reply(status)).http_status() >= 400);
        }
    });
}

#[test]
fn no_bytes_break_a_framer() {
    let streams = cases(Path::new(FIXTURES)).into_iter().filter_map(|case| {
        let text = ["reply.sse", "reply.ndjson"].iter().find_map(|file| case.bytes(file));
        text.or_else(|| world::aws_events(&case.json("reply.events.json")?))
    });
    let seeds: Vec<Vec<u8>> = streams.collect();
    run("framer", &seeds, garble, |input| {
        for framing in [Framing::Sse, Framing::Lines, Framing::AwsEvents] {
            let mut framer = Framer::new(framing, 4096);
            for piece in input.chunks(97) {
                if framer.push(piece).is_err() {
                    break;
                }
                while let Ok(Some(frame)) = framer.next_frame() {
                    assert!(frame.data.len() <= 4096 + 97, "a frame within its bound");
                }
            }
            let _ = framer.finish();
        }
    });
}

#[test]
fn no_body_breaks_the_raw_reader_or_the_lenient_one() {
    let seeds: Vec<Vec<u8>> = cases(Path::new(FIXTURES))
        .iter()
        .map(|case| case.need_json("ask.json")["body"].to_string().into_bytes())
        .collect();
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

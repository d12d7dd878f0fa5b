//! Every folder below `fixtures/` is a case: what the client asks, what goes out, what comes back, what the client gets.
//! `UPDATE=1` rewrites the expected sides. Streams are replayed cut at every byte.
//!
//! | file | holds |
//! |---|---|
//! | `ask.json` | `operation`, `body`, `params` |
//! | `target.json` | `litellm_params`, beside them `env` and the catalog's `facts` |
//! | `media.json` | what is behind URLs that the dialect wants fetched: `{url: {type, data}}` |
//! | `upstream.json` | expected: `method`, `url`, `headers`, `body`; `requests` of several; `then` what is asked again |
//! | `refusal.json` | expected instead, where nothing may go out: `status`, `body` |
//! | `reply.json` | what the provider answers; a list where it is asked several times |
//! | `reply.sse`, `reply.ndjson` | what it streams; a `reply.cut` beside it cuts the connection at its end |
//! | `reply.events.json` | what it streams as AWS's messages: `[{"event"|"exception", "data"}]` |
//! | `answer.json`, `answer.sse` | expected: what the client gets |

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use tollgate_kit::golden::{Case, Findings, cases, cuts};
use tollgate_providers::{
    Target,
    codec::{ClientDialect, Wanted},
    translate::{Answers, Prepared},
};
use tollgate_wire::{
    Failure, FailureKind,
    http::{Outgoing, Reply},
};

use crate::world::{self, Ask};

/// Where the cases are.
pub(crate) const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
/// Larger than any event of a fixture.
const LIMIT: usize = 1 << 20;

/// What a client ends up with.
#[derive(Debug, PartialEq)]
enum Ending {
    Whole(Value),
    Stream(String),
}

/// The cases in parts, so that all cores are used: replaying streams cut at every byte takes a while.
mod every_case_goes_out_and_comes_back_as_recorded {
    use super::check_part;

    #[test]
    fn first_part() {
        check_part(0);
    }

    #[test]
    fn second_part() {
        check_part(1);
    }

    #[test]
    fn third_part() {
        check_part(2);
    }

    #[test]
    fn fourth_part() {
        check_part(3);
    }
}

fn check_part(part: usize) {
    let mut findings = Findings::new();
    for case in cases(Path::new(FIXTURES)).iter().skip(part).step_by(4) {
        findings.add(check(case));
    }
    findings.assert_none();
}

fn check(case: &Case) -> Vec<String> {
    let target = match world::target(&case.need_json("target.json")) {
        Ok(target) => target,
        Err(unservable) => panic!("{}: {unservable}", case.name),
    };
    let folder = case.name.split('/').next().unwrap_or_default();
    assert_eq!(target.provider.name, folder, "{} is in another provider's folder", case.name);
    match prepare(case, &target) {
        Ok(prepared) => {
            let mut found = stale(case, &["refusal.json"]);
            found.extend(case.compare_json("upstream.json", &all_outgoing(case, &target, &prepared)));
            found.extend(check_answer(case, &target));
            found
        }
        Err(failure) => {
            let mut found = stale(case, &["upstream.json", "answer.json", "answer.sse"]);
            found.extend(case.compare_json("refusal.json", &refusal(client_of(case), &failure)));
            found
        }
    }
}

fn prepare(case: &Case, target: &Arc<Target>) -> Result<Prepared, Failure> {
    let mut draft = Ask::read(&case.need_json("ask.json")).draft(target)?;
    let media = case.json("media.json").unwrap_or_default();
    for wanted in draft.wants() {
        let (Wanted::Media(url) | Wanted::Document(url)) = &wanted;
        let found = &media[url];
        let text =
            |name: &str| found[name].as_str().unwrap_or_else(|| panic!("{} has no {url} in media.json", case.name));
        match &wanted {
            Wanted::Media(url) => draft.supply(url, text("type"), text("data")),
            // A document that is not there is one that could not be fetched.
            Wanted::Document(_) if found.is_null() => {}
            Wanted::Document(url) => draft.supply_document(url, text("data").to_owned()),
        }
    }
    let mut prepared = draft.finish()?;
    for outgoing in std::iter::once(&mut prepared.outgoing).chain(&mut prepared.more) {
        world::sign(target, outgoing)?;
    }
    Ok(prepared)
}

/// Files that the case can no longer need.
fn stale(case: &Case, files: &[&str]) -> Vec<String> {
    let there = files.iter().filter(|file| case.has(file));
    there.map(|file| format!("{}/{file} is there, but this case does not come to it", case.name)).collect()
}

/// What goes out: one request, or `{"requests": […]}` where there are several; what is asked again as `then`.
fn all_outgoing(case: &Case, target: &Arc<Target>, prepared: &Prepared) -> Value {
    let mut first = outgoing(&prepared.outgoing);
    let mut then: Vec<Value> = older(case, &prepared.answers);
    then.extend(polls(case, target, &prepared.answers));
    if !then.is_empty() {
        first["then"] = then.into();
    }
    if prepared.more.is_empty() {
        return first;
    }
    let all: Vec<Value> = std::iter::once(first).chain(prepared.more.iter().map(outgoing)).collect();
    json!({"requests": all})
}

/// What is asked in older words after the first reply.
fn older(case: &Case, answers: &Answers) -> Vec<Value> {
    let refused = replies(case).into_iter().find(|reply| reply.status.as_u16() >= 400);
    let otherwise = refused.and_then(|reply| answers.otherwise(&reply).expect("it can be said"));
    otherwise.iter().map(outgoing).collect()
}

/// What is asked again after each of the recorded replies.
fn polls(case: &Case, target: &Target, answers: &Answers) -> Vec<Value> {
    let replies = replies(case);
    let next = replies.iter().filter_map(|reply| answers.next(reply).ok().flatten());
    next.map(|mut next| {
        world::sign(target, &mut next.outgoing).expect("it was signed before");
        let mut request = outgoing(&next.outgoing);
        request["after_ms"] = u64::try_from(next.after.as_millis()).expect("a short wait").into();
        request
    })
    .collect()
}

/// The replies of a case: one, or a list of them.
fn replies(case: &Case) -> Vec<Reply> {
    match case.json("reply.json") {
        Some(Value::Array(replies)) => replies.iter().map(read_reply).collect(),
        Some(reply) => vec![read_reply(&reply)],
        None => Vec::new(),
    }
}

fn outgoing(outgoing: &Outgoing) -> Value {
    let headers: Map<String, Value> = outgoing
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().expect("fixtures have plain headers").into()))
        .collect();
    let body: Value = match outgoing.body.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&outgoing.body)
            .unwrap_or_else(|_| String::from_utf8_lossy(&outgoing.body).into_owned().into()),
    };
    json!({"method": outgoing.method.as_str(), "url": outgoing.url, "headers": headers, "body": body})
}

fn refusal(client: &dyn ClientDialect, failure: &Failure) -> Value {
    json!({"status": failure.http_status(), "body": client.error(failure)})
}

fn check_answer(case: &Case, target: &Arc<Target>) -> Vec<String> {
    let Some(ending) = ending(case, target) else { return stale(case, &["answer.json", "answer.sse"]) };
    match ending {
        Ending::Whole(answer) => {
            let mut found = stale(case, &["answer.sse"]);
            found.extend(case.compare_json("answer.json", &answer));
            found
        }
        Ending::Stream(answer) => {
            let mut found = stale(case, &["answer.json"]);
            found.extend(case.compare_text("answer.sse", &answer));
            found
        }
    }
}

/// What comes of the recorded reply, however its bytes arrive.
fn ending(case: &Case, target: &Arc<Target>) -> Option<Ending> {
    let answers = || prepare(case, target).expect("it was prepared before").answers;
    let streamed = ["reply.sse", "reply.ndjson"].iter().find_map(|file| case.bytes(file));
    let replies = replies(case);
    if !replies.is_empty() && streamed.is_none() {
        return Some(Ending::Whole(whole(client_of(case), &answers(), &replies)));
    }
    let bytes = streamed.or_else(|| world::aws_events(&case.json("reply.events.json")?))?;
    let cut = case.has("reply.cut");
    let client = client_of(case);
    let at_once = stream(client, answers(), target, [bytes.as_slice()].into_iter(), cut);
    for (place, (head, tail)) in cuts(&bytes).enumerate() {
        let in_two = stream(client, answers(), target, [head, tail].into_iter(), cut);
        assert_eq!(in_two, at_once, "{} cut at byte {place}", case.name);
    }
    let bytewise = stream(client, answers(), target, bytes.chunks(1), cut);
    assert_eq!(bytewise, at_once, "{} byte by byte", case.name);
    Some(at_once)
}

/// In whose words a case is asked, and refused.
fn client_of(case: &Case) -> &'static dyn ClientDialect {
    Ask::read(&case.need_json("ask.json")).client
}

fn read_reply(reply: &Value) -> Reply {
    let body = match &reply["body"] {
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let status = reply["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    Reply {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: world::headers(&reply["headers"]),
        body: Bytes::from(body),
    }
}

fn whole(client: &dyn ClientDialect, answers: &Answers, replies: &[Reply]) -> Value {
    let replies = match replies {
        [refused, rest @ ..]
            if refused.status.as_u16() >= 400 && answers.otherwise(refused).is_ok_and(|o| o.is_some()) =>
        {
            rest
        }
        all => all,
    };
    if let Some(refused) = replies.iter().find(|reply| reply.status.as_u16() >= 400) {
        return refusal(client, &answers.failure(refused));
    }
    // What is asked again is answered by what comes next; the last word counts.
    let mut left = replies;
    while let [reply, rest @ ..] = left {
        match answers.next(reply) {
            Ok(Some(_)) => left = rest,
            Ok(None) => break,
            Err(failure) => return refusal(client, &failure),
        }
    }
    match answers.all(left) {
        Ok(answered) => {
            let body: Value = serde_json::from_slice(&answered.body).expect("an answer is JSON");
            json!({"status": 200, "body": body})
        }
        Err(failure) => refusal(client, &failure),
    }
}

/// Reads a stream as the gateway does: a failure before anything readable is an answer of its own, later it is told in
/// the stream.
fn stream<'b>(
    client: &dyn ClientDialect,
    answers: Answers,
    target: &Target,
    pieces: impl Iterator<Item = &'b [u8]>,
    cut: bool,
) -> Ending {
    let mut stream = match answers.stream(LIMIT) {
        Ok(stream) => stream,
        Err(failure) => return Ending::Whole(refusal(client, &failure)),
    };
    let mut out = Vec::new();
    let mut failed = None;
    for piece in pieces {
        if failed.is_none() && !stream.progress().done {
            failed = stream.push(piece, &mut out).err();
        }
    }
    if failed.is_none() && !stream.progress().done {
        failed = if cut {
            Some(target.failure(FailureKind::Connection, "the connection broke"))
        } else {
            stream.finish(&mut out).err()
        };
    }
    match failed {
        Some(failure) if !stream.progress().content => return Ending::Whole(refusal(client, &failure)),
        Some(failure) => stream.fail(&failure, &mut out),
        None => stream.close(None, &mut out),
    }
    Ending::Stream(String::from_utf8(out).expect("a stream is text"))
}

/// The headers of a fixture's request that must not differ from row to row.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map(|value| value.to_str().expect("a plain header")).unwrap_or_default()
}

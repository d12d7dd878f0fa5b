//! The last steps of every request in `OpenAI`'s words, from whichever lane it comes: the row's quirks, the model's
//! rules, the stream's usage, the headers.

use http::Method;
use tollgate_wire::{Failure, RawBody, http::Outgoing};

use super::{
    json_tool, messages,
    reasoning::{knows_developers, reasoning_rules, reasons_by_name},
};
use crate::{
    params::CallParams,
    provider::{Asked, StreamUsage},
    target::{Series, Target},
};

/// The request for `path` with this body, and what its answer must be read by.
///
/// # Errors
/// When a rule of the model forbids a parameter, or the credential cannot stand in a header.
pub fn finish(body: RawBody, path: &str, target: &Target, call: &CallParams) -> Result<(Outgoing, Asked), Failure> {
    let says_stream_false = target.provider.quirks.says_stream_false;
    finish_saying(says_stream_false, body, path, target, call)
}

/// As [`finish`], for requests that come through the hub: what the client did not say is not said for him.
///
/// # Errors
/// As [`finish`].
pub(super) fn finish_from_hub(body: RawBody, path: &str, target: &Target) -> Result<Outgoing, Failure> {
    finish_saying(false, body, path, target, &CallParams::default()).map(|(outgoing, _)| outgoing)
}

fn finish_saying(
    stream_false: bool,
    mut body: RawBody,
    path: &str,
    target: &Target,
    call: &CallParams,
) -> Result<(Outgoing, Asked), Failure> {
    let quirks = &target.provider.quirks;
    reasoning_rules(&mut body, target, call)?;
    let asked = apply_values(&mut body, target, path, stream_false);
    body.set_str("model", &target.model);
    if let Some(hook) = quirks.request {
        hook(&mut body, target, call)?;
    }
    let mut headers = target.request_headers()?;
    if let Some(organization) = target.organization.as_ref().and_then(|text| text.parse().ok()) {
        headers.insert("openai-organization", organization);
    }
    for (name, value) in &call.extra_headers {
        headers.insert(name, value.clone());
    }
    let url = (target.provider.address)(target, path);
    Ok((Outgoing { method: Method::POST, url, headers, body: body.to_bytes() }, asked))
}

/// What the row says in values.
fn apply_values(body: &mut RawBody, target: &Target, path: &str, stream_false: bool) -> Asked {
    let quirks = &target.provider.quirks;
    let tools = body.has("tools");
    for name in quirks.drop {
        body.remove(name);
    }
    for (from, to) in quirks.rename {
        // OpenAI's models that reason know the newer name alone, whoever serves them.
        if *from != "max_completion_tokens" || !reasons_by_name(&target.model) {
            body.rename(from, to);
        }
    }
    if quirks.developer_as_system && !knows_developers(target) {
        messages::developer_as_system(body);
    }
    // A server of one's own that speaks OpenAI's words may well stand before a model that takes the marks.
    let own_server = target.provider.name == "openai" && !target.is_at(&["openai.com"]);
    if !quirks.keeps_cache_control && !own_server {
        messages::without_cache_control(body);
    }
    messages::complete_media(body);
    // A list with pictures must stay one, and then the server reads lists.
    let pictures = body.get("messages").is_some_and(|raw| memchr::memmem::find(raw, b"\"image_url\"").is_some());
    if quirks.joins_texts && !pictures {
        messages::join_texts(body);
    }
    let json_tool = body.has("response_format") && json_tool::stands_in(target) && json_tool::wrap(body);
    if quirks.base64_vectors && target.provider.embeddings == Some(path) && !body.has("encoding_format") {
        body.set_str("encoding_format", "base64");
    }
    stream_members(body, target, path, stream_false);
    for (name, raw) in quirks.fixed {
        if !body.has(name) {
            body.set_raw(name, *raw);
        }
    }
    Asked { tools, json_tool }
}

fn stream_members(body: &mut RawBody, target: &Target, path: &str, stream_false: bool) {
    let quirks = &target.provider.quirks;
    let streams = body.get("stream").is_some_and(|raw| raw.as_ref() == b"true");
    let chats = path.ends_with("/chat/completions");
    match (streams, quirks.stream_usage) {
        (true, StreamUsage::Ask) if chats => body.set_raw("stream_options", r#"{"include_usage":true}"#),
        (true, StreamUsage::Ask | StreamUsage::IfAsked) => {}
        // `stream_options` without a stream is an error at OpenAI.
        _ => {
            body.remove("stream_options");
        }
    }
    // `LiteLLM` sends these by another client, which leaves the word out.
    let silent = target.series == Series::OSeries && target.provider.name == "azure";
    if !streams && chats && stream_false && !silent {
        body.set_raw("stream", "false");
    } else if !streams {
        body.remove("stream");
    }
}

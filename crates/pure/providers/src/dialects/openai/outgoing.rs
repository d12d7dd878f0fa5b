//! The last steps of every request in `OpenAI`'s words, from whichever lane it comes: the row's quirks, the model's
//! rules, the stream's usage, the headers.

use http::Method;
use tollgate_wire::{Failure, RawBody, http::Outgoing};

use super::reasoning::reasoning_rules;
use crate::{params::CallParams, provider::StreamUsage, target::Target};

/// The request for `path` with this body.
///
/// # Errors
/// When a rule of the model forbids a parameter, or the credential cannot stand in a header.
pub fn finish(mut body: RawBody, path: &str, target: &Target, call: &CallParams) -> Result<Outgoing, Failure> {
    let quirks = &target.provider.quirks;
    reasoning_rules(&mut body, target, call)?;
    for name in quirks.drop {
        body.remove(name);
    }
    for (from, to) in quirks.rename {
        body.rename(from, to);
    }
    if quirks.developer_as_system {
        developer_as_system(&mut body);
    }
    stream_members(&mut body, target, path);
    for (name, raw) in quirks.fixed {
        if !body.has(name) {
            body.set_raw(name, *raw);
        }
    }
    body.set_str("model", &target.model);
    if let Some(hook) = quirks.request {
        hook(&mut body, target)?;
    }
    let mut headers = target.request_headers()?;
    if let Some(organization) = target.organization.as_ref().and_then(|text| text.parse().ok()) {
        headers.insert("openai-organization", organization);
    }
    for (name, value) in &call.extra_headers {
        headers.insert(name, value.clone());
    }
    Ok(Outgoing { method: Method::POST, url: url(target, path), headers, body: body.to_bytes() })
}

/// Azure's addresses hold the deployment and the API version; everyone else's are the base and the path.
fn url(target: &Target, path: &str) -> String {
    crate::dialects::azure::url(target, path).unwrap_or_else(|| target.url(path))
}

fn stream_members(body: &mut RawBody, target: &Target, path: &str) {
    let quirks = &target.provider.quirks;
    let streams = body.get("stream").is_some_and(|raw| raw.as_ref() == b"true");
    let chats = path.ends_with("/chat/completions");
    if streams && quirks.stream_usage == StreamUsage::Ask && chats {
        body.set_raw("stream_options", r#"{"include_usage":true}"#);
    } else if !streams || quirks.stream_usage == StreamUsage::Never {
        // `stream_options` without a stream is an error at OpenAI.
        body.remove("stream_options");
    }
    if !streams && chats {
        if quirks.says_stream_false {
            body.set_raw("stream", "false");
        } else {
            body.remove("stream");
        }
    } else if !streams {
        body.remove("stream");
    }
}

/// `OpenAI` itself takes both words; the compatible servers know only the older one.
fn developer_as_system(body: &mut RawBody) {
    let Some(raw) = body.get("messages") else { return };
    if memchr::memmem::find(raw, b"\"developer\"").is_none() {
        return;
    }
    let Some(mut messages) = body.typed::<Vec<serde_json::Value>>("messages") else { return };
    for message in &mut messages {
        if message.get("role").and_then(serde_json::Value::as_str) == Some("developer")
            && let Some(role) = message.get_mut("role")
        {
            *role = "system".into();
        }
    }
    body.set("messages", &messages.into());
}

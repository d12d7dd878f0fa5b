//! `DeepSeek` for Anthropic's clients: Anthropic's words at a path of its own (<https://api-docs.deepseek.com/guides/anthropic_api>),
//! where thoughts of earlier turns can be returned.

use http::{HeaderName, HeaderValue, header};
use serde_json::Value;
use tollgate_wire::{Failure, RawBody, http::Outgoing};

use crate::{
    dialects::anthropic::{self, CloudSplice, Elsewhere},
    target::{Credential, Target, secret_value},
};

/// The dialect of `/anthropic/v1/messages`.
pub static MESSAGES: Elsewhere = Elsewhere { lane: &LANE };

static LANE: CloudSplice = CloudSplice { sent: sent_here, failure: anthropic::failure };

/// A request of Anthropic's as it goes out here.
fn sent_here(mut outgoing: Outgoing, target: &Target) -> Result<Outgoing, Failure> {
    outgoing.url = url(&target.base_url);
    let version = HeaderName::from_static("anthropic-version");
    outgoing.headers.entry(version).or_insert(HeaderValue::from_static("2023-06-01"));
    if let Credential::Key(key) = &target.credential {
        outgoing.headers.remove(header::AUTHORIZATION);
        outgoing.headers.insert("x-api-key", secret_value(key.expose())?);
    }
    let mut body = RawBody::parse(&outgoing.body).map_err(|error| Failure::bug(error.to_string()))?;
    plain_tools(&mut body);
    outgoing.body = body.to_bytes();
    Ok(outgoing)
}

fn url(base_url: &str) -> String {
    let base = base_url.trim_end_matches('/');
    let root = ["/v1/messages", "/v1", "/beta"].iter().fold(base, |base, end| base.strip_suffix(end).unwrap_or(base));
    let home = if root.ends_with("/anthropic") { "" } else { "/anthropic" };
    format!("{root}{home}/v1/messages")
}

/// The word that tells a client's own tools from Anthropic's is refused.
fn plain_tools(body: &mut RawBody) {
    let Some(mut tools) = body.typed::<Vec<Value>>("tools") else { return };
    let mut found = false;
    for tool in tools.iter_mut().filter_map(Value::as_object_mut) {
        if tool.get("type").is_some_and(|kind| kind == "custom") {
            tool.shift_remove("type");
            found = true;
        }
    }
    if found {
        body.set("tools", &tools.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_takes_the_place_of_the_chats() {
        let check = |base: &str| assert_eq!(url(base), "https://d.test/anthropic/v1/messages", "{base}");
        check("https://d.test");
        check("https://d.test/beta");
        check("https://d.test/v1/");
        check("https://d.test/anthropic");
        check("https://d.test/anthropic/v1/messages");
    }
}

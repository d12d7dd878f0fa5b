//! `--debug`: a provider call as a curl command that can be pasted, with its credentials masked (SEED-132).

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use tollgate_wire::{
    http::{Outgoing, is_credential},
    secret::masked,
};

/// How much of a key stays readable: `sk-` and eight characters, as the seed's sample shows.
const SHOWN: usize = 11;

/// The call as LiteLLM's `--debug` prints it. Holds the prompt, by purpose; keys in headers and the URL are masked.
#[must_use]
pub fn as_curl(outgoing: &Outgoing) -> String {
    let mut text =
        format!("POST Request Sent from LiteLLM:\ncurl -X {} \\\n{}", outgoing.method, shown_url(&outgoing.url));
    let headers: Vec<String> = outgoing
        .headers
        .iter()
        .map(|(name, value)| format!("-H {}", quoted(&format!("{}: {}", shown_name(name), shown_value(name, value)))))
        .collect();
    if !headers.is_empty() {
        let _ = write!(text, " \\\n{}", headers.join(" "));
    }
    if !outgoing.body.is_empty() {
        let _ = write!(text, " \\\n-d {}", shown_body(&outgoing.body));
    }
    text
}

// Header names have no case; the seed writes this one with a capital.
fn shown_name(name: &HeaderName) -> &str {
    if name == AUTHORIZATION { "Authorization" } else { name.as_str() }
}

fn shown_value(name: &HeaderName, value: &HeaderValue) -> String {
    let Ok(text) = value.to_str() else { return "[bytes]".to_owned() };
    if !(value.is_sensitive() || is_credential(name) || sounds_secret(name.as_str())) {
        return text.to_owned();
    }
    match text.split_once(' ') {
        Some((scheme, credential)) => format!("{scheme} {}", masked(credential, SHOWN)),
        None => masked(text, SHOWN),
    }
}

/// The headers of a call, keys masked.
pub fn masked_headers(outgoing: &Outgoing) -> impl Iterator<Item = (&str, String)> {
    outgoing.headers.iter().map(|(name, value)| (name.as_str(), shown_value(name, value)))
}

fn shown_url(url: &str) -> String {
    let shown = masked_url(url);
    let bare = shown.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/%@+,=[]".contains(&byte));
    // Brackets and the rest have a meaning to a shell.
    if bare && !shown.contains(['[', ']']) { shown } else { quoted(&shown) }
}

/// The address of a call, keys in it masked.
#[must_use]
pub fn masked_url(url: &str) -> String {
    let (before, query) = match url.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (url, None),
    };
    let mut shown = without_login(before);
    for (position, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        shown.push(if position == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, value)) if sounds_secret(name) => {
                let _ = write!(shown, "{name}={}", masked(value, SHOWN));
            }
            _ => shown.push_str(pair),
        }
    }
    shown
}

fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((login, host)) => format!("{scheme}://{}@{host}{path}", masked(login, 0)),
        None => url.to_owned(),
    }
}

fn sounds_secret(name: &str) -> bool {
    const SECRET: [&str; 9] =
        ["key", "token", "secret", "auth", "cookie", "password", "signature", "credential", "session"];
    let name = name.to_ascii_lowercase();
    name == "sig" || SECRET.iter().any(|part| name.contains(part))
}

fn shown_body(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        // Other control characters could steer the terminal.
        Ok(text) if !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) => quoted(text),
        _ => format!("'[{} bytes that are not text]'", body.len()),
    }
}

/// `text` as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    use super::*;

    fn call(url: &str, headers: &[(&'static str, &str)], body: &str) -> Outgoing {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        Outgoing { method: Method::POST, url: url.to_owned(), headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn a_call_reads_as_the_seed_shows_it() {
        let key = format!("Bearer sk-qnWGUIW9{}", "x".repeat(40));
        let outgoing = call(
            "https://api.openai.com/v1/chat/completions",
            &[("content-type", "application/json"), ("authorization", &key)],
            r#"{"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "this is a test request, write a short poem"}]}"#,
        );
        let expected = r#"POST Request Sent from LiteLLM:
curl -X POST \
https://api.openai.com/v1/chat/completions \
-H 'content-type: application/json' -H 'Authorization: Bearer sk-qnWGUIW9****************************************' \
-d '{"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "this is a test request, write a short poem"}]}'"#;
        assert_eq!(as_curl(&outgoing), expected);
    }

    #[test]
    fn keys_in_other_headers_and_in_the_url_are_masked() {
        let outgoing = call(
            "https://user:topsecret@host/v1?alt=sse&key=AIzaSyD-very-secret-key&sig=abcdefghijkl",
            &[("x-api-key", "sk-ant-api03-hidden-hidden"), ("x-custom-token", "hidden-hidden")],
            "",
        );
        let shown = as_curl(&outgoing);
        for secret in ["topsecret", "secret-key", "hidden", "efghijkl"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("alt=sse&key=AIzaSyD"), "{shown}");
    }

    #[test]
    fn nothing_in_a_call_can_break_out_of_its_quotes() {
        let outgoing = call("https://h/v1?q=$(reboot)", &[("x-title", "it's")], "it's '; reboot; '");
        let shown = as_curl(&outgoing);
        assert!(shown.contains("'https://h/v1?q=$(reboot)'"), "{shown}");
        assert!(shown.contains(r"-H 'x-title: it'\''s'"), "{shown}");
        assert!(shown.contains(r"-d 'it'\''s '\''; reboot; '\'''"), "{shown}");
    }

    #[test]
    fn a_body_that_is_not_text_is_only_counted() {
        let mut outgoing = call("https://h/", &[], "");
        outgoing.body = Bytes::from_static(b"\x1b[2J");
        assert!(as_curl(&outgoing).ends_with("-d '[4 bytes that are not text]'"));
    }
}

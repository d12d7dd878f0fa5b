//! HTTP as plain values: what we wish to send, what came back. Wishes, not IO.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode};

/// A request to a provider, complete but for the connection.
#[derive(Clone)]
pub struct Outgoing {
    /// The method, `POST` for nearly everything.
    pub method: Method,
    /// The absolute URL.
    pub url: String,
    /// All headers but `host` and `content-length`.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// A provider's whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The whole body, within the bound the caller set.
    pub body: Bytes,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| {
                let shown = if is_credential(name) { "[secret]" } else { value.to_str().unwrap_or("[bytes]") };
                format!("{name}: {shown}")
            })
            .collect();
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("url", &shown_url(&self.url))
            .field("headers", &headers)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// A URL without what may hold a credential: its query and its login.
fn shown_url(url: &str) -> String {
    let bare = url.split('?').next().unwrap_or_default();
    match bare.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => bare.to_owned(),
    }
}

/// Headers that carry a credential: never logged, never forwarded from a client to a provider.
#[must_use]
pub fn is_credential(name: &HeaderName) -> bool {
    const EXACT: [&str; 12] = [
        "authorization",
        "proxy-authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "x-litellm-api-key",
        "ocp-apim-subscription-key",
        "cookie",
        "set-cookie",
        "x-amz-security-token",
        "xi-api-key",
        "x-auth-token",
    ];
    EXACT.contains(&name.as_str())
}

/// Headers of a client's request that are not passed on to a provider, whatever else is: who answers for them is not the
/// client. `docs/reference/headers.md` says it in words.
///
/// - credentials ([`is_credential`]), and what belongs to the connection ([`is_hop_by_hop`], sockets, compression);
/// - what proxies before us and browsers tell of the client: its address, its host, its page;
/// - what would make another request of it, or let another account be charged: the credential is ours, so is the account;
/// - what traces and this gateway's own settings are made of.
#[must_use]
pub fn stays_here(name: &HeaderName) -> bool {
    const EXACT: [&str; 33] = [
        "accept-encoding",
        "alt-used",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "max-forwards",
        // Who asks, and from where.
        "cdn-loop",
        "client-ip",
        "fastly-client-ip",
        "forwarded",
        "fly-client-ip",
        "from",
        "origin",
        "referer",
        "true-client-ip",
        "via",
        "x-appengine-user-ip",
        "x-azure-clientip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-real-ip",
        // Another request than the one that was looked at.
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        // Another account than the credential's own.
        "openai-organization",
        "openai-project",
        "x-goog-user-project",
        // Traces.
        "baggage",
        "traceparent",
        "tracestate",
    ];
    const BEGINNINGS: [&str; 14] = [
        "b3",
        "cf-",
        "proxy-",
        "sec-",
        "x-amz-",
        "x-b3-",
        "x-envoy-",
        "x-forwarded-",
        "x-goog-authenticated-",
        "x-goog-iam-",
        "x-litellm-",
        "x-ms-authorization-",
        "x-original-",
        "x-tollgate-",
    ];
    let text = name.as_str();
    is_credential(name)
        || is_hop_by_hop(name)
        || EXACT.contains(&text)
        || BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

/// Headers that belong to one connection and are never passed on (RFC 9110 section 7.6.1).
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    const HOP: [&str; 9] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    HOP.contains(&name.as_str())
}

/// The `connection` header that names further headers of this connection only, if there is one.
#[must_use]
pub fn connection_options(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(http::header::CONNECTION)?.to_str().ok()?;
    let is_plain = text.eq_ignore_ascii_case("keep-alive") || text.eq_ignore_ascii_case("close");
    (!is_plain).then_some(text)
}

/// Whether those options name this header.
#[must_use]
pub fn names_option(options: &str, name: &HeaderName) -> bool {
    options.split(',').any(|option| option.trim().eq_ignore_ascii_case(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_request_hides_its_key_and_its_body() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer sk-hidden".parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let outgoing = Outgoing {
            method: Method::POST,
            url: "http://user:hidden@provider/v1?key=hidden".to_owned(),
            headers,
            body: Bytes::from_static(b"the prompt"),
        };
        let shown = format!("{outgoing:?}");
        assert!(
            !shown.contains("hidden") && !shown.contains("prompt") && shown.contains("application/json"),
            "{shown}"
        );
    }

    #[test]
    fn what_the_client_does_not_answer_for_stays_here() {
        let check = |names: &str, stays: bool| {
            for name in names.split_whitespace() {
                assert_eq!(stays_here(&HeaderName::from_bytes(name.as_bytes()).unwrap()), stays, "{name}");
            }
        };
        check("authorization cookie x-api-key proxy-authorization x-ms-authorization-auxiliary", true);
        check("te upgrade proxy-connection host accept-encoding http2-settings sec-websocket-key", true);
        check("sec-websocket-protocol sec-fetch-site cf-connecting-ip x-forwarded-for x-forwarded-host", true);
        check("forwarded x-real-ip via true-client-ip origin referer x-original-url", true);
        check("x-http-method-override x-method-override x-amz-date x-amz-target", true);
        check("openai-organization openai-project x-goog-user-project", true);
        check("traceparent b3 baggage x-litellm-tags x-tollgate-hops", true);
        check("accept accept-language content-type content-encoding range if-none-match idempotency-key", false);
        check("anthropic-beta anthropic-version openai-beta http-referer x-title x-team", false);
        check("x-goog-api-client x-goog-upload-command x-amzn-bedrock-guardrailidentifier", false);
    }

    #[test]
    fn a_connection_may_name_headers_of_its_own() {
        let mut headers = HeaderMap::new();
        assert_eq!(connection_options(&headers), None);
        headers.insert("connection", "Keep-Alive".parse().unwrap());
        assert_eq!(connection_options(&headers), None);
        headers.insert("connection", "close, X-Private".parse().unwrap());
        let options = connection_options(&headers).unwrap();
        assert!(names_option(options, &HeaderName::from_static("x-private")));
        assert!(!names_option(options, &HeaderName::from_static("x-other")));
    }
}

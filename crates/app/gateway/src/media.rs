//! Pictures and files on the web that a provider wants to have in the message: fetched within bounds, and never from
//! inside our own network (SSRF), whatever the name in the URL resolves to.

use std::{net::IpAddr, time::Duration};

use base64::Engine as _;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tollgate_net::{Bounds, Client};
use tollgate_wire::{Failure, http::Outgoing};

/// Largest picture or file, bytes: Anthropic's bound for a PDF.
const MAX_BYTES: usize = 32 << 20;
/// How long all of a fetch may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most pictures and files that are fetched for one request: OpenAI's and Anthropic's smaller bounds.
pub(crate) const MOST: usize = 20;
/// Most bytes that they may have together, in base64: what a request may hold itself.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// What was fetched.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) media_type: String,
    pub(crate) base64: String,
}

/// Fetches `url`. `trusted` are `host` or `host:port` that may be inside (`user_url_allowed_hosts`). `room` is how
/// many bytes of base64 the request still has room for.
///
/// # Errors
/// 400 that says what is wrong with the URL or with what stands there.
pub(crate) async fn fetch(client: &Client, url: &str, trusted: &[String], room: usize) -> Result<Media, Failure> {
    let wrong = |what: &str| Failure::invalid(format!("the URL in the message {what}")).with_param("messages");
    let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("must begin with http:// or https://"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong("must not hold a user name"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(80);
    let is_trusted = trusted.iter().any(|name| name == authority.as_str() || name == host);
    let address = resolve(host, port).await.ok_or_else(|| wrong("names a host that does not resolve"))?;
    if !is_trusted && !address.iter().all(|address| is_public(*address)) {
        return Err(wrong("points into a private network"));
    }
    let Some(address) = address.first() else { return Err(wrong("names a host that does not resolve")) };
    // The address that was checked is the one that is asked: the name must not resolve to another meanwhile.
    let literal = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("is no URL"))?);
    let outgoing = Outgoing {
        method: Method::GET,
        url: format!("http://{literal}:{port}{path}"),
        headers,
        body: bytes::Bytes::new(),
    };
    let max_body = MAX_BYTES.min(room / 4 * 3);
    let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: Some(PATIENCE), max_body };
    let response =
        client.send(&outgoing, &bounds).await.map_err(|error| wrong(&format!("cannot be fetched: {error}")))?;
    if !response.status.is_success() {
        return Err(wrong(&format!("answers {}; redirects are not followed", response.status)));
    }
    let media_type = media_type(&response.headers, uri.path());
    let body = response.collect().await.map_err(|error| wrong(&format!("cannot be fetched: {error}")))?;
    let Some(media_type) = media_type.or_else(|| by_content(&body).map(str::to_owned)) else {
        return Err(wrong("holds neither a picture nor a PDF"));
    };
    Ok(Media { media_type, base64: base64::engine::general_purpose::STANDARD.encode(&body) })
}

async fn resolve(host: &str, port: u16) -> Option<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host, port)).await.ok()?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    (!addresses.is_empty()).then_some(addresses)
}

/// Addresses of the open internet. Everything else — loopback, private, link-local (cloud metadata), shared, multicast,
/// and IPv6 that wraps such an IPv4 — is inside.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || first == 0
                || first >= 240
                || (first == 100 && (64..128).contains(&second))
                || (first == 198 && (18..20).contains(&second)))
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4() {
                return is_public(IpAddr::V4(v4));
            }
            let [first, second, ..] = v6.segments();
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
                // 6to4 and NAT64 carry an IPv4 address within.
                || first == 0x2002
                || (first == 0x64 && second == 0xff9b)
                || (first == 0x2001 && second == 0xdb8))
        }
    }
}

/// The type that the server states, if it is one that can stand in a message.
fn media_type(headers: &HeaderMap, path: &str) -> Option<String> {
    let stated = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
    if stated.starts_with("image/") || stated == "application/pdf" || stated == "text/plain" {
        return Some(stated);
    }
    match path.rsplit('.').next()? {
        "png" => Some("image/png".to_owned()),
        "jpg" | "jpeg" => Some("image/jpeg".to_owned()),
        "gif" => Some("image/gif".to_owned()),
        "webp" => Some("image/webp".to_owned()),
        "pdf" => Some("application/pdf".to_owned()),
        _ => None,
    }
}

/// The type by the first bytes.
fn by_content(body: &[u8]) -> Option<&'static str> {
    match body {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'%', b'P', b'D', b'F', ..] => Some("application/pdf"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_open_internet_is_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "198.18.0.1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "93.184.216.34", "2606:4700::1111"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }
}

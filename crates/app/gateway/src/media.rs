//! Pictures and files on the web that a provider wants to have in the message: fetched within bounds, and never from
//! inside our own network (SSRF), whatever the name in the URL resolves to.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use base64::Engine as _;
use http::{HeaderMap, Method, Uri, header};
use tollgate_net::{Bounds, Client, Response};
use tollgate_wire::{Failure, http::Outgoing};

/// Redirects that are followed, each to an address that is checked like the first.
const MOST_REDIRECTS: usize = 3;

/// What may be fetched for a request.
#[derive(Clone, Debug)]
pub(crate) struct MediaRules {
    /// `host` or `host:port` that may be inside (`user_url_allowed_hosts`).
    pub(crate) trusted: Vec<String>,
    /// Most pieces.
    pub(crate) most: usize,
    /// Largest piece, bytes.
    pub(crate) max_bytes: usize,
    /// Most bytes that all may have together.
    pub(crate) max_together: usize,
    /// How long all of a fetch may take, redirects included.
    pub(crate) patience: Duration,
}

impl MediaRules {
    /// `OpenAI`'s and Anthropic's smaller bounds: pieces of a request, bytes of a PDF, bytes of a request.
    pub(crate) const DEFAULT: Self = Self {
        trusted: Vec::new(),
        most: 20,
        max_bytes: 32 << 20,
        max_together: 64 << 20,
        patience: Duration::from_secs(20),
    };
}

/// What was fetched.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) media_type: String,
    pub(crate) base64: String,
}

impl Media {
    /// How many bytes it was.
    pub(crate) fn bytes(&self) -> usize {
        self.base64.len() / 4 * 3
    }
}

/// Fetches `url`; `held` bytes have been fetched for the same request before.
///
/// # Errors
/// 400 that says what is wrong with the URL or with what stands there.
pub(crate) async fn fetch(client: &Client, url: &str, rules: &MediaRules, held: usize) -> Result<Media, Failure> {
    let within = tokio::time::timeout(rules.patience, follow(client, url, rules, held)).await;
    within.unwrap_or_else(|_| Err(wrong(&format!("cannot be fetched within {} s", rules.patience.as_secs_f64()))))
}

fn wrong(what: &str) -> Failure {
    Failure::invalid(format!("the URL in the message {what}")).with_param("messages")
}

async fn follow(client: &Client, url: &str, rules: &MediaRules, held: usize) -> Result<Media, Failure> {
    let mut uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
    for _ in 0..=MOST_REDIRECTS {
        let addresses = checked(&uri, &rules.trusted).await?;
        let response = ask(client, &uri, &addresses, rules, held).await?;
        if !response.status.is_redirection() {
            return read(response, &uri).await;
        }
        let location = response.headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
        uri = location.and_then(|location| led_to(&uri, location)).ok_or_else(|| wrong("leads nowhere"))?;
    }
    Err(wrong(&format!("is redirected more than {MOST_REDIRECTS} times")))
}

/// Where the URL points, if we may go there. All addresses of its name must be allowed.
async fn checked(uri: &Uri, trusted: &[String]) -> Result<Vec<SocketAddr>, Failure> {
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("must begin with http:// or https://"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong("must not hold a user name"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let unresolved = || wrong("names a host that does not resolve");
    let found = tokio::net::lookup_host((host, port)).await.map_err(|_| unresolved())?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(unresolved());
    }
    let is_trusted = trusted.iter().any(|name| name == authority.as_str() || name == host);
    if !is_trusted && !addresses.iter().all(|address| is_public(address.ip())) {
        return Err(wrong("points into a private network"));
    }
    Ok(addresses)
}

/// The address that was checked is the one that is asked: the name might resolve to another by now.
async fn ask(
    client: &Client,
    uri: &Uri,
    addresses: &[SocketAddr],
    rules: &MediaRules,
    held: usize,
) -> Result<Response, Failure> {
    let outgoing =
        Outgoing { method: Method::GET, url: uri.to_string(), headers: HeaderMap::new(), body: bytes::Bytes::new() };
    let patience = rules.patience;
    let max_body = rules.max_bytes.min(rules.max_together.saturating_sub(held));
    let bounds = Bounds { first_byte: patience, idle: patience, total: Some(patience), max_body };
    let sent = client.send_to(&outgoing, addresses, &bounds).await;
    sent.map_err(|error| wrong(&format!("cannot be fetched: {error}")))
}

async fn read(response: Response, uri: &Uri) -> Result<Media, Failure> {
    if !response.status.is_success() {
        return Err(wrong(&format!("answers {}", response.status)));
    }
    let media_type = media_type(&response.headers, uri.path());
    let body = response.collect().await.map_err(|error| wrong(&format!("cannot be fetched: {error}")))?;
    let Some(media_type) = media_type.or_else(|| by_content(&body).map(str::to_owned)) else {
        return Err(wrong("holds neither a picture nor a PDF"));
    };
    Ok(Media { media_type, base64: base64::engine::general_purpose::STANDARD.encode(&body) })
}

/// The address that a redirect names: whole, or as a path on the same host.
fn led_to(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next()?;
    if location.contains("://") {
        return location.parse().ok();
    }
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    if let Some(elsewhere) = location.strip_prefix("//") {
        return format!("{scheme}://{elsewhere}").parse().ok();
    }
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if location.starts_with('/') { location.to_owned() } else { format!("{folder}/{location}") };
    format!("{scheme}://{authority}{path}").parse().ok()
}

/// Addresses of the open internet. Everything else — loopback, private, link-local (cloud metadata), shared, multicast,
/// and IPv6 that wraps such an IPv4 — is inside.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, third, _] = v4.octets();
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || first == 0
                || first >= 240
                // Protocol assignments, among them a metadata address (192.0.0.192, Oracle).
                || (first == 192 && second == 0 && third == 0)
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
                || (first & 0xffc0) == 0xfec0
                // 6to4, Teredo and NAT64 carry an IPv4 address within.
                || (first == 0x2001 && second == 0)
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
    fn a_redirect_leads_to_a_host_or_a_path() {
        let check = |location: &str, expected: Option<&str>| {
            let from: Uri = "https://a.test/b/c.png?d".parse().unwrap();
            assert_eq!(led_to(&from, location).map(|uri| uri.to_string()).as_deref(), expected, "{location}");
        };
        check("http://e.test/f#g", Some("http://e.test/f"));
        check("//e.test/f", Some("https://e.test/f"));
        check("/f?x=1", Some("https://a.test/f?x=1"));
        check("f.png", Some("https://a.test/b/f.png"));
        check("http://", None);
    }

    #[test]
    fn only_the_open_internet_is_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.0.192",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "fec0::1",
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

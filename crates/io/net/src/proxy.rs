//! Which proxy stands before a destination, and the tunnel through it.

use std::{
    future::{Ready, ready},
    io,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Uri};
use hyper_util::{
    client::{
        legacy::connect::proxy::{SocksV4, SocksV5, Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use tower_service::Service;

use crate::{NetError, stream::Stream};

/// The proxies of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and the exceptions of `NO_PROXY`. Default: no proxy.
#[derive(Clone, Debug, Default)]
pub struct ProxySettings {
    matcher: Option<Arc<Matcher>>,
}

impl ProxySettings {
    /// Reads name-value pairs as an environment holds them; other names are passed over. The small spelling of a name
    /// wins over the capital one, as in Python, so an empty small one turns the capital one off.
    ///
    /// # Errors
    /// [`NetError::Setting`] names a variable whose value is no proxy address (`http`, `https`, `socks4`, `socks4a`,
    /// `socks5`, `socks5h`); going out directly instead would be a surprise.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, NetError> {
        let (all, http, https) = (value(pairs, "ALL_PROXY"), value(pairs, "HTTP_PROXY"), value(pairs, "HTTPS_PROXY"));
        for (name, address) in [("ALL_PROXY", all), ("HTTP_PROXY", http), ("HTTPS_PROXY", https)] {
            if !address.is_empty() && !is_proxy(address) {
                return Err(NetError::Setting(format!("{name} is not the address of a proxy")));
            }
        }
        if all.is_empty() && http.is_empty() && https.is_empty() {
            return Ok(Self::default());
        }
        let no: Vec<&str> = value(pairs, "NO_PROXY").split(',').map(exception).collect();
        let matcher = Matcher::builder().all(all).http(http).https(https).no(no.join(",")).build();
        Ok(Self { matcher: Some(Arc::new(matcher)) })
    }

    /// The proxy before `scheme://authority`, if there is one.
    pub(crate) fn before(&self, tls: bool, authority: &str) -> Option<Proxy> {
        let matcher = self.matcher.as_ref()?;
        let scheme = if tls { "https" } else { "http" };
        let destination = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build().ok()?;
        matcher.intercept(&destination).map(Proxy)
    }
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    let find = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim());
    find(&name.to_ascii_lowercase()).or_else(|| find(name)).unwrap_or_default()
}

fn is_proxy(address: &str) -> bool {
    Matcher::builder().all(address).build().intercept(&Uri::from_static("http://provider/")).is_some()
}

// `*.example.com` is common, but the matcher knows only `.example.com`.
fn exception(entry: &str) -> &str {
    let entry = entry.trim();
    match entry.strip_prefix('*') {
        Some(domain) if domain.starts_with('.') => domain,
        _ => entry,
    }
}

/// One proxy on the way.
pub(crate) struct Proxy(Intercept);

impl Proxy {
    /// The proxy speaks TLS itself.
    pub(crate) fn tls(&self) -> bool {
        self.0.uri().scheme_str() == Some("https")
    }

    /// It forwards plain requests that name the whole URL; otherwise everything goes through a tunnel.
    pub(crate) fn forwards(&self) -> bool {
        matches!(self.0.uri().scheme_str(), Some("http" | "https"))
    }

    pub(crate) fn host(&self) -> &str {
        self.0.uri().host().unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        let default = match self.0.uri().scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => 1080,
        };
        self.0.uri().port_u16().unwrap_or(default)
    }

    /// `proxy-authorization` for forwarded requests.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        self.0.basic_auth().cloned()
    }

    /// Asks the proxy, reached over `stream`, for a tunnel to `host` and `port`.
    pub(crate) async fn tunnel(&self, stream: Stream, host: &str, port: u16) -> Result<Stream, NetError> {
        let destination = Uri::try_from(format!("http://{host}:{port}/"))
            .map_err(|_| NetError::Setting("the provider's address is not a URL".to_owned()))?;
        let (proxy, reached) = (self.0.uri().clone(), Reached(Some(TokioIo::new(stream))));
        let tunnelled = match self.0.uri().scheme_str() {
            Some("socks5" | "socks5h") => {
                let mut socks = SocksV5::new(proxy, reached);
                if let Some((user, password)) = self.0.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                socks.call(destination).await.map_err(no_tunnel)
            }
            Some("socks4" | "socks4a") => SocksV4::new(proxy, reached).call(destination).await.map_err(no_tunnel),
            _ => {
                let mut tunnel = Tunnel::new(proxy, reached);
                if let Some(authorization) = self.authorization() {
                    tunnel = tunnel.with_auth(authorization);
                }
                tunnel.call(destination).await.map_err(no_tunnel)
            }
        };
        tunnelled.map(TokioIo::into_inner)
    }
}

fn no_tunnel(error: impl std::error::Error) -> NetError {
    NetError::Connect { source: io::Error::other(format!("the proxy gave no way through: {error}")) }
}

/// The connector that the tunnels want: hands out the one connection that is already there.
struct Reached(Option<TokioIo<Stream>>);

impl Service<Uri> for Reached {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<Stream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<ProxySettings, NetError> {
        let owned: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ProxySettings::from_pairs(&owned)
    }

    fn check(pairs: &[(&str, &str)], tls: bool, authority: &str, expected: Option<&str>) {
        let proxy = settings(pairs).unwrap().before(tls, authority).map(|p| format!("{}:{}", p.host(), p.port()));
        assert_eq!(proxy.as_deref(), expected, "{authority} with {pairs:?}");
    }

    #[test]
    fn each_scheme_has_its_proxy_and_all_is_the_rest() {
        let pairs = [("HTTPS_PROXY", "http://secure:3128"), ("ALL_PROXY", "socks5://other")];
        check(&pairs, true, "api.openai.com", Some("secure:3128"));
        check(&pairs, false, "api.openai.com:80", Some("other:1080"));
        check(&[("HTTP_PROXY", "plain:8080")], true, "api.openai.com", None);
        check(&[("HTTP_PROXY", "plain:8080")], false, "api.openai.com", Some("plain:8080"));
        check(&[("PATH", "http://not-a-proxy")], false, "api.openai.com", None);
    }

    #[test]
    fn exceptions_go_directly() {
        let pairs = [("https_proxy", "http://p:1"), ("no_proxy", "localhost, 10.0.0.0/8,*.intern.example,.corp")];
        for direct in ["localhost:8080", "10.1.2.3", "llm.intern.example", "a.corp:443"] {
            check(&pairs, true, direct, None);
        }
        for proxied in ["api.openai.com", "11.1.2.3", "notcorp", "intern.example.com"] {
            check(&pairs, true, proxied, Some("p:1"));
        }
        check(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "*")], true, "api.openai.com", None);
    }

    #[test]
    fn the_small_spelling_wins_and_may_be_empty() {
        check(&[("HTTPS_PROXY", "http://big:1"), ("https_proxy", "http://small:2")], true, "host", Some("small:2"));
        check(&[("HTTPS_PROXY", "http://big:1"), ("https_proxy", "")], true, "host", None);
    }

    #[test]
    fn a_proxy_that_cannot_be_one_is_refused_by_name_without_its_password() {
        let error = settings(&[("HTTPS_PROXY", "ftp://user:hidden@proxy")]).unwrap_err().to_string();
        assert_eq!(error, "HTTPS_PROXY is not the address of a proxy");
    }

    #[test]
    fn a_proxys_password_is_not_printed() {
        let shown = format!("{:?}", settings(&[("HTTPS_PROXY", "http://user:hidden@proxy:1")]).unwrap());
        assert!(!shown.contains("hidden"), "{shown}");
    }
}

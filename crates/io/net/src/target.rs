//! A URL taken apart without copying it: the origin finds the idle connection, the rest goes on the request line.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery},
};
use tollgate_wire::percent;

use crate::NetError;

/// Where a request goes; slices of [`tollgate_wire::http::Outgoing::url`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target<'a> {
    /// Scheme, host and port as written: the name under which connections are kept.
    pub(crate) origin: &'a str,
    pub(crate) tls: bool,
    /// User and password in front of the host; sent as basic authentication.
    login: Option<&'a str>,
    /// Host and port as written.
    authority: &'a str,
    path: &'a str,
}

impl<'a> Target<'a> {
    /// Takes `url` apart; the authority is checked only when a connection to it is opened.
    pub(crate) fn parse(url: &'a str) -> Result<Self, NetError> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").ok_or_else(no_url)?;
        let tls = match scheme {
            scheme if scheme.eq_ignore_ascii_case("https") => true,
            scheme if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err(NetError::Setting("the provider's address is neither http nor https".to_owned())),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (before_path, path) = rest.split_at(end);
        let (login, authority) = match before_path.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, before_path),
        };
        let (origin, _) = url.split_at(url.len() - path.len());
        Ok(Self { origin, tls, login, authority, path })
    }

    /// Host and port, checked.
    pub(crate) fn authority(&self) -> Result<Authority, NetError> {
        let authority = Authority::try_from(self.authority).map_err(|_| no_url())?;
        let port = self.authority.get(authority.host().len()..).unwrap_or_default().trim_start_matches(':');
        // `Authority` lets a port pass that is no number, and reads it as none.
        let is_port = port.is_empty() || authority.port_u16().is_some();
        if authority.host().is_empty() || !is_port { Err(no_url()) } else { Ok(authority) }
    }

    /// The port, the scheme's own when none is written.
    pub(crate) fn port(&self, authority: &Authority) -> u16 {
        authority.port_u16().unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// The `host` header: without the port where it is the scheme's own.
    pub(crate) fn host_header(&self, authority: &Authority) -> Result<HeaderValue, NetError> {
        let default = if self.tls { 443 } else { 80 };
        let shown = match authority.port_u16() {
            Some(port) if port != default => authority.as_str(),
            _ => authority.host(),
        };
        HeaderValue::from_str(shown).map_err(|_| no_url())
    }

    /// Path and query for the request line.
    pub(crate) fn path(&self) -> Result<Uri, NetError> {
        let path = self.path.split('#').next().unwrap_or_default();
        let parsed = match path.as_bytes().first() {
            None => Ok(PathAndQuery::from_static("/")),
            Some(b'/') => PathAndQuery::try_from(path),
            Some(_) => PathAndQuery::try_from(format!("/{path}")),
        };
        parsed.map(Uri::from).map_err(|_| no_url())
    }

    /// The `authorization` that user and password in the URL stand for.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let login = self.login?;
        let login = if login.contains(':') { percent::decoded(login) } else { percent::decoded(&format!("{login}:")) };
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(login))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

// Without the URL itself: it may hold a key.
fn no_url() -> NetError {
    NetError::Setting("the provider's address is not a URL".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, origin: &str, host: &str, port: u16, path: &str) {
        let target = Target::parse(url).unwrap();
        let authority = target.authority().unwrap();
        assert_eq!(target.origin, origin);
        assert_eq!(target.host_header(&authority).unwrap(), host);
        assert_eq!(target.port(&authority), port);
        assert_eq!(target.path().unwrap(), *path);
    }

    #[test]
    fn a_url_is_taken_apart() {
        check("https://api.openai.com/v1/chat?a=b#c", "https://api.openai.com", "api.openai.com", 443, "/v1/chat?a=b");
        check("http://localhost:8080/v1", "http://localhost:8080", "localhost:8080", 8080, "/v1");
        check("HTTPS://Host:443", "HTTPS://Host:443", "Host", 443, "/");
        check("http://[::1]:9?x=1", "http://[::1]:9", "[::1]:9", 9, "/?x=1");
        check("http://[::1]/", "http://[::1]", "[::1]", 80, "/");
    }

    #[test]
    fn a_login_in_the_url_becomes_basic_authentication_and_is_not_a_host() {
        let target = Target::parse("https://user:p%40ss%2@host/v1").unwrap();
        assert_eq!(target.authority().unwrap(), "host");
        let authorization = target.authorization().unwrap();
        assert_eq!(authorization, format!("Basic {}", STANDARD.encode("user:p@ss%2")).as_str());
        assert!(authorization.is_sensitive());
    }

    #[test]
    fn what_is_no_url_is_refused_without_repeating_it() {
        for url in
            ["", "api.openai.com/v1", "ftp://host/", "https://", "https:///path", "http://a b/", "http://host:99999/x"]
        {
            let refused = Target::parse(url).and_then(|target| {
                target.path()?;
                target.authority()
            });
            let Err(NetError::Setting(message)) = refused else { panic!("{url} was taken") };
            assert!(message.starts_with("the provider's address is"), "{message}");
        }
    }
}

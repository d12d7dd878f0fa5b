//! Opening a connection: name, addresses (the second is tried when the first is slow), proxy, TLS.

use std::{
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use http::uri::Authority;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{NetError, ProxySettings, proxy::Proxy, stream::Stream, target::Target, tls::Tls};

/// How long an address may stay silent before the next is tried beside it (RFC 8305 section 8 recommends 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// Opens connections; sets no time limit of its own.
pub(crate) struct Dialer {
    pub(crate) tls: Tls,
    pub(crate) proxy: ProxySettings,
}

/// An open connection, and the proxy that wants to see whole URLs of this authority on it.
pub(crate) struct Dialed {
    pub(crate) stream: Stream,
    pub(crate) forwarder: Option<(Authority, Proxy)>,
}

impl Dialer {
    /// Connects to `target`, whose host and port are `authority`; to one of the `pinned` addresses, if there are some.
    pub(crate) async fn dial(
        &self,
        target: &Target<'_>,
        authority: &Authority,
        pinned: Option<&[SocketAddr]>,
    ) -> Result<Dialed, NetError> {
        let (host, port) = (authority.host(), target.port(authority));
        let (stream, forwarder) = match (self.proxy.before(target.tls, authority.as_str()), pinned) {
            (None, None) => (reach(host, port).await?, None),
            (None, Some(addresses)) => (reach_any(addresses.to_vec()).await?, None),
            (Some(proxy), pinned) => {
                let stream = self.reach_proxy(&proxy).await?;
                // A proxy is told the address that was checked, never the name: it would resolve it itself.
                let destination = pinned.map_or_else(|| Ok(authority.clone()), first)?;
                if proxy.forwards() && !target.tls {
                    (stream, Some((destination, proxy)))
                } else {
                    let port = target.port(&destination);
                    (proxy.tunnel(stream, destination.host(), port).await?, None)
                }
            }
        };
        let stream = if target.tls { self.tls.wrap(host, stream).await? } else { stream };
        Ok(Dialed { stream, forwarder })
    }

    /// Connects to `target` with nobody in between who reads what is said: through a proxy always by a tunnel.
    pub(crate) async fn dial_through(&self, target: &Target<'_>, authority: &Authority) -> Result<Stream, NetError> {
        let (host, port) = (authority.host(), target.port(authority));
        let stream = match self.proxy.before(target.tls, authority.as_str()) {
            None => reach(host, port).await?,
            Some(proxy) => {
                let stream = self.reach_proxy(&proxy).await?;
                proxy.tunnel(stream, host, port).await?
            }
        };
        if target.tls { self.tls.wrap(host, stream).await } else { Ok(stream) }
    }

    async fn reach_proxy(&self, proxy: &Proxy) -> Result<Stream, NetError> {
        let stream = reach(proxy.host(), proxy.port()).await?;
        if proxy.tls() { self.tls.wrap(proxy.host(), stream).await } else { Ok(stream) }
    }
}

async fn reach(host: &str, port: u16) -> Result<Stream, NetError> {
    reach_any(resolve(host, port).await.map_err(|source| NetError::Dns { source })?).await
}

/// The first of the pinned addresses, as a proxy wants it.
fn first(addresses: &[SocketAddr]) -> Result<Authority, NetError> {
    let named = addresses.first().and_then(|address| Authority::try_from(address.to_string()).ok());
    named.ok_or_else(|| NetError::Dns { source: io::Error::new(io::ErrorKind::NotFound, "no address") })
}

async fn reach_any(addresses: Vec<SocketAddr>) -> Result<Stream, NetError> {
    let stream = connect_any(addresses).await.map_err(|source| NetError::Connect { source })?;
    stream.set_nodelay(true).map_err(|source| NetError::Connect { source })?;
    Ok(Stream::Plain(stream))
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found: Vec<SocketAddr> = lookup_host((bare, port)).await?.collect();
    if found.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, "no address")) } else { Ok(alternated(found)) }
}

/// One address of each family in turn, beginning with the resolver's favourite, so that a dead family costs one stagger.
fn alternated(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let six_first = found.first().is_some_and(SocketAddr::is_ipv6);
    let (favourites, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| address.is_ipv6() == six_first);
    let (mut favourites, mut others) = (favourites.into_iter(), others.into_iter());
    let mut order = Vec::new();
    loop {
        let pair = (favourites.next(), others.next());
        if pair == (None, None) {
            return order;
        }
        order.extend(pair.0);
        order.extend(pair.1);
    }
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// The first connection that stands; attempts that lost are dropped. The last failure if none does.
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(Box::pin(TcpStream::connect(address)));
        } else if attempts.is_empty() {
            return Err(failure);
        }
        let finished = if waiting.len() > 0 {
            timeout(STAGGER, first_of(&mut attempts)).await
        } else {
            Ok(first_of(&mut attempts).await)
        };
        match finished {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(refused)) => failure = refused,
            Err(_slow) => {}
        }
    }
}

/// The outcome of the first attempt to finish, which is taken out of the list.
async fn first_of(attempts: &mut Vec<Attempt>) -> io::Result<TcpStream> {
    poll_fn(|context| {
        for (position, attempt) in attempts.iter_mut().enumerate() {
            if let Poll::Ready(outcome) = attempt.as_mut().poll(context) {
                drop(attempts.swap_remove(position));
                return Poll::Ready(outcome);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_alternate_beginning_with_the_resolvers_favourite() {
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(address).to_vec();
        assert_eq!(alternated(found), ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(address));
    }

    #[tokio::test]
    async fn a_refusing_address_is_passed_over() {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let stream = connect_any(vec![closed, open.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open.local_addr().unwrap());
        assert_eq!(connect_any(vec![closed]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_a_dns_error() {
        let outcome = reach("no-such-host.invalid", 80).await;
        assert!(matches!(outcome, Err(NetError::Dns { .. })));
    }
}

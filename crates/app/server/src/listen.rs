//! Connections: accepted within a bound, served over HTTP/1.1 and HTTP/2, drained at shutdown.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd as _,
    path::PathBuf,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use http::Version;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream, lookup_host},
    sync::{Semaphore, mpsc, watch},
};
use tokio_rustls::TlsAcceptor;
use tollgate_gateway::{Gateway, Workers};

use crate::{
    routes::{self, App},
    service::Counted,
    settings::{ServerBounds, ServerSettings},
    socket::{Patience, Requests, Socket, Stream},
    tls,
};

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else has the port.
    #[error("port {port} on {host} is taken; stop what listens there, or choose another with --port")]
    PortTaken {
        /// The address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {host}:{port}: {source}")]
    Listen {
        /// The address.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The certificate or key cannot be used.
    #[error("{path}: {what}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// A server that listens, and does not accept yet.
pub struct BoundServer {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    settings: Arc<ServerSettings>,
}

/// Takes the port.
///
/// # Errors
/// When the port is taken, the address is none of this machine's, or the TLS files cannot be used.
pub async fn bind(settings: ServerSettings) -> Result<BoundServer, ServeError> {
    let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
    let (host, port) = (settings.host.clone(), settings.port);
    let listening = async {
        let address = lookup_host((host.as_str(), port)).await?.next();
        let address = address.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        let socket =
            if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
        // A restart must not wait for the last process's connections to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(4096)
    };
    match listening.await {
        Ok(listener) => Ok(BoundServer { listener, tls, settings: Arc::new(settings) }),
        Err(source) if source.kind() == io::ErrorKind::AddrInUse => Err(ServeError::PortTaken { host, port }),
        Err(source) => Err(ServeError::Listen { host, port, source }),
    }
}

impl BoundServer {
    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// It speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `stop` says so. The first `true` drains: accepting stops, running calls get the grace, then their
    /// streams end in-band. A second change ends at once.
    pub async fn serve(self, gateway: Arc<Gateway>, mut stop: watch::Receiver<u8>) {
        let router = routes::router(App { gateway: Arc::clone(&gateway), settings: Arc::clone(&self.settings) });
        let bounds = self.settings.bounds;
        let slots = Arc::new(Semaphore::new(bounds.max_connections));
        // Every connection holds an end of it, so that its last word is the end of the last connection.
        let (open, closed) = mpsc::channel(1);
        loop {
            let accepted = tokio::select! {
                // However many are waiting to be accepted.
                biased;
                _ = stop.changed() => break,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            let Some((stream, slot)) = accepted else { continue };
            let workers = gateway.workers().clone();
            let connection =
                Connection { router: router.clone(), bounds, tls: self.tls.clone(), workers, stop: stop.clone() };
            let open = open.clone();
            gateway.workers().spawn_loop(async move {
                connection.run(stream).await;
                drop((slot, open));
            });
        }
        drop((self.listener, open));
        drain(closed, &gateway, bounds.shutdown_grace, stop).await;
    }
}

/// The next connection, as soon as there is room for one.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small events must leave at once.
            let _ = stream.set_nodelay(true);
            Some((stream, slot))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Out of file descriptors: give those in use a moment to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// How long ended streams may take to hand out their last event.
const LAST_WORDS: Duration = Duration::from_secs(2);

async fn drain(mut closed: mpsc::Receiver<()>, gateway: &Gateway, grace: Duration, mut stop: watch::Receiver<u8>) {
    gateway.start_draining();
    let workers: Workers = gateway.workers().clone();
    let all_done = async {
        // Nobody sends: this ends with the last connection.
        let _ = closed.recv().await;
        // Whole calls whose clients left are still read to their end, for their usage.
        workers.drained(grace).await;
    };
    tokio::pin!(all_done);
    tokio::select! {
        () = &mut all_done => return,
        () = tokio::time::sleep(grace) => {}
        _ = stop.changed() => return,
    }
    gateway.end_streams();
    let _ = tokio::time::timeout(LAST_WORDS, all_done).await;
}

struct Connection {
    router: Router,
    bounds: ServerBounds,
    tls: Option<TlsAcceptor>,
    workers: Workers,
    stop: watch::Receiver<u8>,
}

/// For so long the rest of four bytes is waited for.
const CUT: Duration = Duration::from_secs(1);
/// The preface of HTTP/2 (RFC 9113, 3.4) begins like no request of HTTP/1.1.
const PREFACE: &[u8; 4] = b"PRI ";

/// Which HTTP a client speaks that has agreed on nothing: by its first bytes, which stay unread. `None` when it leaves,
/// or says nothing for `patience`.
async fn first_words(stream: &TcpStream, patience: Duration) -> Option<Version> {
    let mut start = [0; 4];
    let count = tokio::time::timeout(patience, stream.peek(&mut start)).await.ok()?.ok()?;
    if may_be_more(&start, count) {
        // Whoever sends no four bytes in this time sends a slow head, which is not ours to judge. Boxed: it is rare.
        match Box::pin(tokio::time::timeout(CUT, the_rest(stream))).await {
            Ok(rest) => start = rest.ok()?,
            Err(_) => return Some(Version::HTTP_11),
        }
    }
    (count > 0).then_some(if start == *PREFACE { Version::HTTP_2 } else { Version::HTTP_11 })
}

/// So far it is the preface, or `POST`, in its first segment.
fn may_be_more(start: &[u8; 4], count: usize) -> bool {
    (1..start.len()).contains(&count) && PREFACE.get(..count) == start.get(..count)
}

/// The first bytes where they come one by one. What is there already is no news, so only what comes is waited for.
async fn the_rest(stream: &TcpStream) -> io::Result<[u8; 4]> {
    let twin = std::net::TcpStream::from(stream.as_fd().try_clone_to_owned()?);
    let look = || {
        let mut start = [0; 4];
        let count = twin.peek(&mut start)?;
        if may_be_more(&start, count) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(start) }
    };
    stream.async_io(Interest::READABLE, look).await
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        match self.tls.clone() {
            None => self.plain(stream).await,
            // Boxed: a handshake is large, and would make every plain connection's task as large.
            Some(acceptor) => Box::pin(self.encrypted(acceptor, stream)).await,
        }
    }

    async fn plain(mut self, stream: TcpStream) {
        let peer = stream.peer_addr().ok().map(|address| address.ip());
        let looked = tokio::select! {
            biased;
            looked = first_words(&stream, self.bounds.keepalive_timeout) => looked,
            // Nothing was asked yet, so nothing is left to answer.
            _ = self.stop.changed() => return,
        };
        if let Some(version) = looked {
            // A connection's end, however it comes, is told by the calls on it.
            let _ = self.http(stream, version, peer).await;
        }
    }

    async fn encrypted(mut self, acceptor: TlsAcceptor, stream: TcpStream) {
        let peer = stream.peer_addr().ok().map(|address| address.ip());
        let handshake = tokio::time::timeout(self.bounds.header_read_timeout, acceptor.accept(stream));
        let shaken = tokio::select! {
            biased;
            shaken = handshake => shaken,
            // Nothing was asked yet, so nothing is left to answer.
            _ = self.stop.changed() => return,
        };
        // A failed handshake is the client's business; it sees the alert.
        if let Ok(Ok(stream)) = shaken {
            let agreed = stream.get_ref().1.alpn_protocol();
            let version = if agreed == Some(b"h2") { Version::HTTP_2 } else { Version::HTTP_11 };
            // A connection's end, however it comes, is told by the calls on it.
            let _ = self.http(stream, version, peer).await;
        }
    }

    /// Serves a connection. What only its beginning needs is gone before the first wait: thousands may wait at once.
    async fn http<I: Stream>(self, io: I, version: Version, peer: Option<IpAddr>) -> Result<(), hyper::Error> {
        let requests = Arc::<Requests>::default();
        let patience = Patience { head: self.bounds.header_read_timeout, idle: self.bounds.keepalive_timeout };
        let socket = TokioIo::new(Socket::new(io, Arc::clone(&requests), patience, self.workers));
        let service = Counted::new(self.router, requests, peer);
        // Not hyper-util's builder for both: its look at the first bytes would leave each connection with twice the read
        // buffer.
        if version == Version::HTTP_2 {
            let serving = http2(&self.bounds).serve_connection(socket, service);
            Box::pin(until_ended(serving, http2::Connection::graceful_shutdown, self.stop)).await
        } else {
            let serving = http1(&self.bounds).serve_connection(socket, service).with_upgrades();
            until_ended(serving, http1::UpgradeableConnection::graceful_shutdown, self.stop).await
        }
    }
}

/// Serves a connection to its end. At the stop it takes no more requests, and answers those it has.
async fn until_ended<C: Future>(serving: C, end: fn(Pin<&mut C>), mut stop: watch::Receiver<u8>) -> C::Output {
    let mut serving = pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        _ = stop.changed() => end(serving.as_mut()),
    }
    serving.await
}

fn http1(bounds: &ServerBounds) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // The socket watches how long a head takes.
        .header_read_timeout(None)
        .max_buf_size(bounds.max_header_bytes.max(8192))
        // No `pipeline_flush`: it holds back hyper's refusal of a head as long as there is more to read.
        .half_close(false);
    builder
}

fn http2(bounds: &ServerBounds) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.http2_max_streams)
        .max_pending_accept_reset_streams(bounds.http2_max_resets)
        .max_local_error_reset_streams(bounds.http2_max_resets)
        .max_header_list_size(u32::try_from(bounds.max_header_bytes).unwrap_or(u32::MAX))
        // A reader that stands still holds this much of us, no more.
        .max_send_buf_size(64 << 10)
        .keep_alive_interval(bounds.keepalive_timeout);
    builder
}

//! Connections: accepted within a bound, served over HTTP/1.1 and HTTP/2, drained at shutdown.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use http::Version;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    sync::{Semaphore, watch},
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
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &slots) => accepted,
                _ = stop.changed() => break,
            };
            let Some((stream, slot)) = accepted else { continue };
            let workers = gateway.workers().clone();
            let connection =
                Connection { router: router.clone(), bounds, tls: self.tls.clone(), workers, stop: stop.clone() };
            let watcher = graceful.watcher();
            gateway.workers().spawn_loop(async move {
                connection.run(stream, watcher).await;
                drop(slot);
            });
        }
        drop(self.listener);
        drain(graceful, &gateway, bounds.shutdown_grace, stop).await;
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

async fn drain(graceful: GracefulShutdown, gateway: &Gateway, grace: Duration, mut stop: watch::Receiver<u8>) {
    gateway.start_draining();
    let workers: Workers = gateway.workers().clone();
    let all_done = async {
        graceful.shutdown().await;
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

/// How a connection ended.
type Served = Result<(), Box<dyn std::error::Error + Send + Sync>>;

struct Connection {
    router: Router,
    bounds: ServerBounds,
    tls: Option<TlsAcceptor>,
    workers: Workers,
    stop: watch::Receiver<u8>,
}

/// Which HTTP a client speaks that has agreed on nothing: by its first bytes, which stay unread. `None` when it leaves,
/// or says nothing for `patience`.
async fn first_words(stream: &TcpStream, patience: Duration) -> Option<Version> {
    let mut start = [0; 4];
    let count = tokio::time::timeout(patience, stream.peek(&mut start)).await.ok()?.ok()?;
    // The preface of HTTP/2 (RFC 9113, 3.4) begins like no request of HTTP/1.1.
    (count > 0).then_some(if start == *b"PRI " { Version::HTTP_2 } else { Version::HTTP_11 })
}

impl Connection {
    async fn run(self, stream: TcpStream, watcher: Watcher) {
        match self.tls.clone() {
            None => self.plain(stream, watcher).await,
            // Boxed: a handshake is large, and would make every plain connection's task as large.
            Some(acceptor) => Box::pin(self.encrypted(acceptor, stream, watcher)).await,
        }
    }

    async fn plain(mut self, stream: TcpStream, watcher: Watcher) {
        let looked = tokio::select! {
            looked = first_words(&stream, self.bounds.keepalive_timeout) => looked,
            // Nothing was asked yet, so nothing is left to answer.
            _ = self.stop.changed() => return,
        };
        if let Some(version) = looked {
            // A connection's end, however it comes, is told by the calls on it.
            let _ = self.http(stream, version, watcher).await;
        }
    }

    async fn encrypted(self, acceptor: TlsAcceptor, stream: TcpStream, watcher: Watcher) {
        let handshake = acceptor.accept(stream);
        // A failed handshake is the client's business; it sees the alert.
        if let Ok(Ok(stream)) = tokio::time::timeout(self.bounds.header_read_timeout, handshake).await {
            let agreed = stream.get_ref().1.alpn_protocol();
            let version = if agreed == Some(b"h2") { Version::HTTP_2 } else { Version::HTTP_11 };
            // A connection's end, however it comes, is told by the calls on it.
            let _ = self.http(stream, version, watcher).await;
        }
    }

    /// Serves a connection. What only its beginning needs is gone before the first wait: thousands may wait at once.
    fn http<I: Stream>(self, io: I, version: Version, watcher: Watcher) -> impl Future<Output = Served> {
        let bounds = &self.bounds;
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            // The socket watches how long a head takes.
            .header_read_timeout(None)
            .max_buf_size(bounds.max_header_bytes.max(8192))
            // No `pipeline_flush`: it holds back hyper's refusal of a head as long as there is more to read.
            .half_close(false);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(bounds.http2_max_streams)
            .max_pending_accept_reset_streams(bounds.http2_max_resets)
            .max_local_error_reset_streams(bounds.http2_max_resets)
            .max_header_list_size(u32::try_from(bounds.max_header_bytes).unwrap_or(u32::MAX))
            // A reader that stands still holds this much of us, no more.
            .max_send_buf_size(64 << 10)
            .keep_alive_interval(bounds.keepalive_timeout);
        // Said beforehand: hyper's own look at the first bytes would leave each connection with twice the read buffer.
        let builder = if version == Version::HTTP_2 { builder.http2_only() } else { builder.http1_only() };
        let requests = Arc::<Requests>::default();
        let patience = Patience { head: bounds.header_read_timeout, idle: bounds.keepalive_timeout };
        let socket = Socket::new(io, Arc::clone(&requests), patience, self.workers.clone());
        let service = Counted::new(self.router.clone(), requests);
        let serving = builder.serve_connection_with_upgrades(TokioIo::new(socket), service).into_owned();
        watcher.watch(serving)
    }
}

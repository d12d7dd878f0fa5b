//! What the server may be told, and what it does untold. Every bound can be set in `general_settings`.

use std::{path::PathBuf, time::Duration};

/// How the server listens.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The address to listen on.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Certificate and key, for HTTPS.
    pub tls: Option<TlsFiles>,
    /// Origins that browsers may call from; `*` is any. Empty: none.
    pub cors_origins: Vec<String>,
    /// Browsers may send cookies and the like along; never with `*`.
    pub cors_credentials: bool,
    /// Prefix of every path (`SERVER_ROOT_PATH`), without a slash at its end.
    pub root_path: String,
    /// The bounds.
    pub bounds: ServerBounds,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What a client may take of us.
#[derive(Clone, Copy, Debug)]
pub struct ServerBounds {
    /// Largest request body, bytes. Default 32 MiB: pictures come as base64.
    pub max_body_bytes: usize,
    /// Largest form with sound or pictures, bytes. Default 100 MiB.
    pub max_form_bytes: usize,
    /// Largest body that is sent on as it comes, bytes. Default 512 MiB, as `OpenAI` has it for files.
    pub max_file_bytes: usize,
    /// Largest head of a request, bytes. Default 64 KiB.
    pub max_header_bytes: usize,
    /// Connections at once; more wait to be accepted. Default 10,000.
    pub max_connections: usize,
    /// For the head of a request, and for a TLS handshake. Default 10 s.
    pub header_read_timeout: Duration,
    /// For the whole body of a request; a form has more by as much as it may be larger, and a body that is sent on as it
    /// comes may be silent that long. Default 60 s.
    pub body_read_timeout: Duration,
    /// An idle connection is closed after this. Default 75 s: longer than load balancers keep theirs.
    pub keepalive_timeout: Duration,
    /// Streams of one HTTP/2 connection at once. Default 250.
    pub http2_max_streams: u32,
    /// Streams that a peer may open and reset before we close its connection. Default 20.
    pub http2_max_resets: usize,
    /// What running calls get when we are told to stop. Default 30 s.
    pub shutdown_grace: Duration,
}

impl Default for ServerBounds {
    fn default() -> Self {
        Self {
            max_body_bytes: 32 << 20,
            max_form_bytes: 100 << 20,
            max_file_bytes: 512 << 20,
            max_header_bytes: 64 << 10,
            max_connections: 10_000,
            header_read_timeout: Duration::from_secs(10),
            body_read_timeout: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(75),
            http2_max_streams: 250,
            http2_max_resets: 20,
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

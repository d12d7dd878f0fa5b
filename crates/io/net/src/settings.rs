//! What the client may be told: how it connects, how long it keeps connections, how long one call may take.

use std::time::Duration;

use crate::ProxySettings;

/// How a [`crate::Client`] connects and what it keeps.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// For all of resolving, connecting, the proxy's part and TLS. Default 5 s, as `LiteLLM`'s HTTP client has it.
    pub connect_timeout: Duration,
    /// Idle connections kept per origin; the longest idle goes first. Default 256.
    pub pool_max_idle_per_host: usize,
    /// An idle connection is closed after this. Default 30 s: below the 60 s after which common load balancers close.
    pub pool_idle_timeout: Duration,
    /// A connection older than this takes no further request, so that a moved DNS name is followed. Default 5 min.
    pub pool_max_age: Duration,
    /// Check the servers' certificates. Default true; false is `ssl_verify: false`.
    pub verify: bool,
    /// PEM certificates trusted in addition to the system's roots.
    pub ca_bundle_pem: Option<Vec<u8>>,
    /// Which proxy stands before which destination. Default: none.
    pub proxy: ProxySettings,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            pool_max_idle_per_host: 256,
            pool_idle_timeout: Duration::from_secs(30),
            pool_max_age: Duration::from_secs(300),
            verify: true,
            ca_bundle_pem: None,
            proxy: ProxySettings::default(),
        }
    }
}

/// How long one call may take and how much it may bring.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From the moment there is a connection until the head of the response is there.
    pub first_byte: Duration,
    /// Between two chunks of the body, while somebody waits for one.
    pub idle: Duration,
    /// From `send` to the last byte of the body.
    pub total: Option<Duration>,
    /// Bytes of body, collected or streamed.
    pub max_body: usize,
}

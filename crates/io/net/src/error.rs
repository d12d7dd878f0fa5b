//! What can go wrong between us and a provider, and how a client is told.

use std::{error::Error, fmt, io, time::Duration};

use tollgate_wire::{Failure, FailureKind};

/// What was waited for when a [`NetError::Timeout`] struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A connection: name, TCP, proxy, TLS.
    Connect,
    /// The head of the response.
    FirstByte,
    /// The next chunk of the body.
    Idle,
    /// The end of the body.
    Total,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::FirstByte => "no answer",
            Self::Idle => "no further data",
            Self::Total => "no end of the answer",
        })
    }
}

/// A call that did not bring a whole response.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Neither the provider nor its proxy could be reached; nothing was sent.
    #[error("could not connect: {source}")]
    Connect {
        /// Why.
        source: io::Error,
    },
    /// The host's name has no address; nothing was sent.
    #[error("could not resolve the name: {source}")]
    Dns {
        /// Why.
        source: io::Error,
    },
    /// No trust could be established; nothing was sent.
    #[error("TLS handshake failed: {source}")]
    Tls {
        /// Why; the text names the certificate's fault.
        source: io::Error,
    },
    /// A bound of [`crate::Bounds`] or the connect timeout passed.
    #[error("{which} after {after:?}")]
    Timeout {
        /// What was waited for.
        which: Wait,
        /// The bound.
        after: Duration,
    },
    /// The connection ended before a byte of the response; the request may have been processed.
    #[error("the connection was closed before an answer")]
    Closed,
    /// The connection ended within the body.
    #[error("the connection was cut within the answer")]
    Cut,
    /// The body is longer than [`crate::Bounds::max_body`].
    #[error("the answer is over {limit} bytes")]
    TooLarge {
        /// The bound, bytes.
        limit: usize,
    },
    /// The body is compressed although nobody asked for it.
    #[error("the answer (status {status}) has content-encoding {encoding}, which was not asked for")]
    Encoding {
        /// The answer's status.
        status: u16,
        /// The answer's `content-encoding`.
        encoding: String,
    },
    /// What came is not an HTTP response.
    #[error("the answer is not valid HTTP: {0}")]
    Invalid(String),
    /// A URL or a setting cannot be used; nothing was sent.
    #[error("{0}")]
    Setting(String),
}

impl NetError {
    /// The failure that a client may see: names `host` and the cause, never a path, query or key.
    #[must_use]
    pub fn into_failure(self, provider: &'static str, host: &str) -> Failure {
        let kind = match &self {
            Self::Timeout { .. } => FailureKind::Timeout,
            Self::Connect { .. } | Self::Dns { .. } | Self::Tls { .. } | Self::Closed | Self::Cut => {
                FailureKind::Connection
            }
            Self::TooLarge { .. } | Self::Encoding { .. } | Self::Invalid(_) => FailureKind::InvalidResponse,
            Self::Setting(_) => FailureKind::Misconfigured,
        };
        Failure::new(kind, format!("{host}: {self}")).from_provider(provider)
    }
}

/// Reads a failed exchange: hyper's error before the head of the response was there.
pub(crate) fn of_head(error: &hyper::Error) -> NetError {
    if error.is_parse() {
        return NetError::Invalid(error.to_string());
    }
    NetError::Closed
}

/// Reads hyper's error within a body: garbled framing is told apart from a lost connection.
pub(crate) fn of_body(error: &hyper::Error) -> NetError {
    let mut cause = error.source();
    let mut garbled = false;
    while let Some(current) = cause {
        garbled |= current.downcast_ref::<io::Error>().is_some_and(is_garbled);
        cause = current.source();
    }
    if garbled { NetError::Invalid("its chunks are garbled".to_owned()) } else { NetError::Cut }
}

fn is_garbled(error: &io::Error) -> bool {
    // A TLS alert within the body is of the same kind, but there the connection is lost.
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) && !is_tls(error)
}

/// Whether an input/output error is TLS's verdict rather than the network's.
pub(crate) fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_becomes_a_failure_that_names_the_host_and_the_provider() {
        let cases = [
            (NetError::Timeout { which: Wait::FirstByte, after: Duration::from_secs(600) }, FailureKind::Timeout),
            (NetError::Connect { source: io::ErrorKind::ConnectionRefused.into() }, FailureKind::Connection),
            (NetError::Closed, FailureKind::Connection),
            (NetError::Cut, FailureKind::Connection),
            (NetError::TooLarge { limit: 10 }, FailureKind::InvalidResponse),
            (NetError::Encoding { status: 200, encoding: "gzip".to_owned() }, FailureKind::InvalidResponse),
            (NetError::Setting("the address is not a URL".to_owned()), FailureKind::Misconfigured),
        ];
        for (error, kind) in cases {
            let failure = error.into_failure("OpenAI", "api.openai.com");
            assert_eq!((failure.kind, failure.provider), (kind, Some("OpenAI")));
            assert!(failure.message.starts_with("api.openai.com: "), "{}", failure.message);
        }
    }

    #[test]
    fn a_timeout_says_what_was_missing_and_for_how_long() {
        let error = NetError::Timeout { which: Wait::Idle, after: Duration::from_secs(30) };
        assert_eq!(error.to_string(), "no further data after 30s");
    }
}

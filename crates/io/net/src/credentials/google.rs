//! Tokens for Google Cloud (RFC 7523, RFC 8693, «Application Default Credentials»): out of a service account's key, a
//! user's login, a federated identity, or the metadata server. All of it goes through the one [`Client`], so proxies,
//! certificates and bounds hold for it too. ADR 0005 says why this is our own.

mod exchange;
mod file;
mod jwt;

use std::time::Duration;

use tollgate_wire::Secret;

use crate::{Client, NetError};
use file::CredentialsFile;

/// What every token is for.
pub(crate) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where the metadata server of a machine at Google is.
const METADATA_HOST: &str = "metadata.google.internal";

/// Where a token is to come from.
#[derive(Clone, Debug, Default)]
pub struct GoogleSource {
    /// The text of a credentials file, or the path of one.
    pub credentials: Option<Secret>,
    /// A file that is used where there are no credentials, if it is there: gcloud's own.
    pub well_known: Option<String>,
    /// Host and port of the metadata server, if not Google's.
    pub metadata_host: Option<String>,
}

/// A bearer token.
#[derive(Clone, Debug)]
pub struct GoogleToken {
    /// The token.
    pub token: Secret,
    /// How long it lives, where the giver says.
    pub lives: Option<Duration>,
}

/// Why there is no token. No message holds a secret, or words of a server, which may repeat one.
#[derive(Debug, thiserror::Error)]
pub enum GoogleError {
    /// A file cannot be read.
    #[error("the credentials file cannot be read: {0}")]
    File(#[source] std::io::Error),
    /// The file is none of Google's.
    #[error("the credentials are no file of Google's: {0}")]
    Format(String),
    /// A kind of credentials that is not known here.
    #[error("credentials of the kind '{0}' cannot be used; a service account, a user or a federated identity can")]
    Kind(String),
    /// The private key cannot be used.
    #[error("the private key of the credentials cannot be used")]
    Key,
    /// A server did not answer.
    #[error("{host}: {source}")]
    Net {
        /// Which.
        host: String,
        /// Why.
        source: NetError,
    },
    /// A server refused.
    #[error("{host} answered {status}{hint}")]
    Refused {
        /// Which.
        host: String,
        /// How.
        status: u16,
        /// The error's name in OAuth's words, if it is one of them.
        hint: String,
    },
    /// A server answered without a token.
    #[error("{0} answered without a token")]
    NoToken(String),
}

/// A token. `now` is the time since 1970.
///
/// # Errors
/// When credentials cannot be read or used, or nobody gives a token for them.
pub async fn token(source: &GoogleSource, client: &Client, now: Duration) -> Result<GoogleToken, GoogleError> {
    let text = match &source.credentials {
        Some(text) if text.expose().trim_start().starts_with('{') => Some(text.clone()),
        Some(path) => Some(file::read(path.expose()).await.map_err(GoogleError::File)?),
        None => match &source.well_known {
            Some(path) => file::read(path).await.ok(),
            None => None,
        },
    };
    let Some(text) = text else {
        let host = source.metadata_host.as_deref().unwrap_or(METADATA_HOST);
        return exchange::metadata(client, host).await;
    };
    let credentials: CredentialsFile = file::parse(&text)?;
    exchange::token(&credentials, client, now).await
}

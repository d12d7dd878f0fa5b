//! AWS keys that the configuration does not hold itself: of a profile, a role, a web identity, a container, an instance.
//! The ways are `aws-config`'s, so that they are those of AWS's command line (ADR 0004).

mod door;

use std::{path::Path, time::Duration};

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig,
    profile::{self, ProfileFileCredentialsProvider},
    provider_config::ProviderConfig,
    sts::AssumeRoleProvider,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use tollgate_wire::Secret;

use crate::Client;

/// What a session is called if nobody names it.
const SESSION_NAME: &str = "tollgate";
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How a reference to a file with a token begins.
const TOKEN_FILE: &str = "oidc/file/";

/// Whose keys are wanted. Without keys, profile and role it is AWS's own chain: environment, files, web identity,
/// container, instance.
#[derive(Clone, Debug, Default)]
pub struct AwsSource {
    /// Keys to begin with: id, secret, session token.
    pub keys: Option<(Secret, Secret, Option<Secret>)>,
    /// Where STS is asked.
    pub region: String,
    /// A profile of AWS's files.
    pub profile_name: Option<String>,
    /// A role to take on (its ARN).
    pub role: Option<String>,
    /// What the session in that role is called.
    pub session_name: Option<String>,
    /// What the role's owner asks for beside.
    pub external_id: Option<String>,
    /// A token to take on the role with: itself, or `oidc/file/<path>`, or an absolute path.
    pub web_identity_token: Option<Secret>,
    /// STS at another address.
    pub sts_endpoint: Option<String>,
}

/// AWS keys.
#[derive(Clone, Debug)]
pub struct AwsKeys {
    /// Names the keys.
    pub access_key_id: Secret,
    /// Signs.
    pub secret_access_key: Secret,
    /// Goes with temporary keys.
    pub session_token: Option<Secret>,
    /// How long they live from now on; `None` where they do not expire.
    pub lives: Option<Duration>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum AwsKeysError {
    /// AWS gave none, or could not be asked.
    #[error("AWS gave no keys for {whose}")]
    None {
        /// The role, the profile, or the chain.
        whose: String,
        /// What AWS's library says; may name accounts, so it is for the log.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A web identity needs a role to take on.
    #[error("aws_web_identity_token is given without aws_role_name")]
    NoRole,
    /// The file with the token cannot be read.
    #[error("the file of aws_web_identity_token cannot be read")]
    TokenFile {
        /// Why.
        source: std::io::Error,
    },
    /// The token would have to be fetched in a way that is not known here.
    #[error("aws_web_identity_token is a reference of a kind that is not known; a token, oidc/file/… or oidc/env/… is")]
    UnknownToken,
    /// It took too long.
    #[error("AWS gave no keys in time")]
    Late,
}

/// The keys of a source.
///
/// # Errors
/// When AWS gives none, or a setting is missing.
pub async fn keys(source: &AwsSource, client: &Client) -> Result<AwsKeys, AwsKeysError> {
    let loader = aws_config::defaults(BehaviorVersion::latest());
    let found = Box::pin(credentials(source, client, loader, ProfileFileCredentialsProvider::builder()));
    let found = tokio::time::timeout(PATIENCE, found).await.map_err(|_| AwsKeysError::Late)??;
    let now = client.clock().unix();
    let lives = found.expiry().map(|expiry| {
        let expiry = expiry.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        expiry.saturating_sub(now)
    });
    Ok(AwsKeys {
        access_key_id: Secret::new(found.access_key_id()),
        secret_access_key: Secret::new(found.secret_access_key()),
        session_token: found.session_token().map(Secret::new),
        lives,
    })
}

async fn credentials(
    source: &AwsSource,
    client: &Client,
    loader: ConfigLoader,
    profiles: profile::credentials::Builder,
) -> Result<Credentials, AwsKeysError> {
    let door = door::Door::new(client.clone());
    let region = Region::new(source.region.clone());
    let mut loader = loader.http_client(door.clone()).region(region.clone());
    if let Some((id, secret, session)) = &source.keys {
        let session = session.as_ref().map(|session| session.expose().to_owned());
        let keys = Credentials::new(id.expose(), secret.expose(), session, None, "configuration");
        loader = loader.credentials_provider(keys);
    } else if let Some(profile) = &source.profile_name {
        // AWS's chain would take the environment's keys first; whoever names a profile means the profile.
        let surroundings = ProviderConfig::without_region().with_http_client(door).with_region(Some(region));
        loader = loader.credentials_provider(profiles.configure(&surroundings).profile_name(profile).build());
    }
    let mut config = Box::pin(loader.load()).await;
    if let Some(endpoint) = &source.sts_endpoint {
        config = config.into_builder().endpoint_url(endpoint).build();
    }
    match (&source.role, &source.web_identity_token) {
        (None, Some(_)) => Err(AwsKeysError::NoRole),
        (Some(role), Some(token)) => by_web_identity(source, role, token, &config).await,
        (Some(role), None) => by_role(source, role, &config).await,
        (None, None) => match config.credentials_provider() {
            Some(provider) => provided(&provider, whose(source)).await,
            None => Err(none(whose(source), "there is no way to keys")),
        },
    }
}

fn whose(source: &AwsSource) -> String {
    source.profile_name.as_ref().map_or_else(
        || "AWS's own chain (environment, files, container, instance)".to_owned(),
        |profile| format!("the profile '{profile}'"),
    )
}

fn none(whose: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AwsKeysError {
    AwsKeysError::None { whose: whose.into(), source: source.into() }
}

async fn provided(provider: &SharedCredentialsProvider, whose: String) -> Result<Credentials, AwsKeysError> {
    provider.provide_credentials().await.map_err(|error| none(whose, error))
}

async fn by_role(source: &AwsSource, role: &str, config: &SdkConfig) -> Result<Credentials, AwsKeysError> {
    let whose = format!("the role '{role}'");
    let Some(base) = config.credentials_provider() else { return Err(none(whose, "there is no way to keys")) };
    let mut builder = AssumeRoleProvider::builder(role)
        .configure(config)
        .session_name(source.session_name.as_deref().unwrap_or(SESSION_NAME));
    if let Some(id) = &source.external_id {
        builder = builder.external_id(id);
    }
    let provider = Box::pin(builder.build_from_provider(base)).await;
    provider.provide_credentials().await.map_err(|error| none(whose, error))
}

async fn by_web_identity(
    source: &AwsSource,
    role: &str,
    token: &Secret,
    config: &SdkConfig,
) -> Result<Credentials, AwsKeysError> {
    let whose = || format!("the web identity in the role '{role}'");
    let token = token_text(token.expose())?;
    let asked = aws_sdk_sts::Client::new(config)
        .assume_role_with_web_identity()
        .role_arn(role)
        .role_session_name(source.session_name.as_deref().unwrap_or(SESSION_NAME))
        .web_identity_token(token.trim())
        .send();
    let answer = Box::pin(asked).await.map_err(|error| none(whose(), error.into_service_error()))?;
    let Some(given) = answer.credentials else { return Err(none(whose(), "the answer holds no keys")) };
    let expires = std::time::SystemTime::try_from(given.expiration).ok();
    let (id, secret, session) = (given.access_key_id, given.secret_access_key, given.session_token);
    Ok(Credentials::new(id, secret, Some(session), expires, "web identity"))
}

/// The token itself.
fn token_text(reference: &str) -> Result<String, AwsKeysError> {
    let file = reference.strip_prefix(TOKEN_FILE).or_else(|| Path::new(reference).is_absolute().then_some(reference));
    match file {
        // Small, local, and once an hour: not worth a thread.
        Some(path) => std::fs::read_to_string(path).map_err(|source| AwsKeysError::TokenFile { source }),
        None if reference.starts_with("oidc/") => Err(AwsKeysError::UnknownToken),
        None => Ok(reference.to_owned()),
    }
}

#[cfg(test)]
mod tests;

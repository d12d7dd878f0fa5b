//! The servers that give tokens.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};
use tollgate_wire::{Secret, http::Outgoing, percent};

use super::{
    GoogleError, GoogleToken, SCOPE,
    file::{CredentialsFile, Place, Subject, read},
    jwt,
};
use crate::{Bounds, Client};

/// How long a server may take for all of its answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest answer, bytes.
const MAX_ANSWER: usize = 256 << 10;
/// How long a token lives that one account takes in another's name; Google's most by default.
const BORROWED: Duration = Duration::from_secs(3600);

/// The token for a file's account.
pub(super) async fn token(file: &CredentialsFile, client: &Client, now: Duration) -> Result<GoogleToken, GoogleError> {
    match file {
        CredentialsFile::Impersonated { url, source } => {
            let own = own_token(source, client, now).await?;
            impersonate(url, &own.token, client).await
        }
        CredentialsFile::Federated { impersonation_url: Some(url), .. } => {
            let own = own_token(file, client, now).await?;
            impersonate(url, &own.token, client).await
        }
        _ => own_token(file, client, now).await,
    }
}

async fn own_token(file: &CredentialsFile, client: &Client, now: Duration) -> Result<GoogleToken, GoogleError> {
    match file {
        CredentialsFile::ServiceAccount { email, key_id, private_key, token_url } => {
            let assertion = jwt::assertion(email, key_id.as_deref(), private_key, token_url, now)?;
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            ask(client, token_url, &[("grant_type", grant), ("assertion", assertion.expose())]).await
        }
        CredentialsFile::User { client_id, client_secret, refresh_token, token_url } => {
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("refresh_token", refresh_token.expose()),
            ];
            ask(client, token_url, &form).await
        }
        CredentialsFile::Federated { audience, subject_type, token_url, subject, .. } => {
            let subject = subject_token(subject, client).await?;
            let form = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                ("audience", audience),
                ("scope", SCOPE),
                ("subject_token_type", subject_type),
                ("subject_token", subject.expose()),
            ];
            ask(client, token_url, &form).await
        }
        CredentialsFile::Impersonated { .. } => Err(GoogleError::Kind("impersonation of impersonation".to_owned())),
    }
}

/// The token of the machine's own account.
pub(super) async fn metadata(client: &Client, host: &str) -> Result<GoogleToken, GoogleError> {
    let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
    let headers =
        HeaderMap::from_iter([(HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"))]);
    let answer = send(client, Outgoing { method: Method::GET, url, headers, body: Bytes::new() }).await?;
    read_token(&answer, host)
}

async fn ask(client: &Client, url: &str, form: &[(&str, &str)]) -> Result<GoogleToken, GoogleError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let fields: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", percent::encoded(value))).collect();
    let body = Bytes::from(fields.join("&"));
    let answer = send(client, Outgoing { method: Method::POST, url: url.to_owned(), headers, body }).await?;
    read_token(&answer, host_of(url))
}

/// A token in another account's name.
async fn impersonate(url: &str, own: &Secret, client: &Client) -> Result<GoogleToken, GoogleError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", own.expose()))
        .map_err(|_| GoogleError::NoToken(host_of(url).to_owned()))?;
    bearer.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, bearer);
    let wish = json!({"scope": [SCOPE], "lifetime": format!("{}s", BORROWED.as_secs())});
    let body = Bytes::from(wish.to_string());
    let answer = send(client, Outgoing { method: Method::POST, url: url.to_owned(), headers, body }).await?;
    let token = answer.get("accessToken").and_then(Value::as_str);
    let token = token.ok_or_else(|| GoogleError::NoToken(host_of(url).to_owned()))?;
    Ok(GoogleToken { token: Secret::new(token), lives: Some(BORROWED) })
}

/// The token of the other identity provider; files are read anew each time, as they are renewed.
async fn subject_token(subject: &Subject, client: &Client) -> Result<Secret, GoogleError> {
    let text = match &subject.place {
        Place::File(path) => read(path).await.map_err(GoogleError::File)?,
        Place::Url { url, headers } => {
            let unusable = || GoogleError::Format("`credential_source` has headers that cannot be sent".to_owned());
            let mut sent = HeaderMap::new();
            for (name, value) in headers {
                let name = HeaderName::try_from(name).map_err(|_| unusable())?;
                sent.insert(name, HeaderValue::try_from(value).map_err(|_| unusable())?);
            }
            let asked = Outgoing { method: Method::GET, url: url.clone(), headers: sent, body: Bytes::new() };
            Secret::new(String::from_utf8_lossy(&fetch(client, asked).await?).into_owned())
        }
    };
    let Some(member) = &subject.member else { return Ok(Secret::new(text.expose().trim())) };
    let document: Option<Value> = serde_json::from_str(text.expose()).ok();
    let token = document.as_ref().and_then(|document| document.get(member)?.as_str());
    token.map(Secret::new).ok_or_else(|| GoogleError::Format("the identity provider's token is not there".to_owned()))
}

fn read_token(answer: &Value, host: &str) -> Result<GoogleToken, GoogleError> {
    let token = answer.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    // Google pads tokens of the metadata server with dots.
    let token = token.map(|token| token.trim_end_matches('.')).ok_or_else(|| GoogleError::NoToken(host.to_owned()))?;
    let lives = answer.get("expires_in").and_then(|lives| lives.as_u64().or_else(|| lives.as_str()?.parse().ok()));
    Ok(GoogleToken { token: Secret::new(token), lives: lives.map(Duration::from_secs) })
}

async fn send(client: &Client, outgoing: Outgoing) -> Result<Value, GoogleError> {
    let host = host_of(&outgoing.url).to_owned();
    let body = fetch(client, outgoing).await?;
    serde_json::from_slice(&body).map_err(|_| GoogleError::NoToken(host))
}

async fn fetch(client: &Client, outgoing: Outgoing) -> Result<Bytes, GoogleError> {
    let host = host_of(&outgoing.url).to_owned();
    let failed = |source| GoogleError::Net { host: host.clone(), source };
    let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: Some(PATIENCE), max_body: MAX_ANSWER };
    let response = client.send(&outgoing, &bounds).await.map_err(failed)?;
    let status = response.status;
    let body = response.collect().await.map_err(failed)?;
    if status.is_success() {
        return Ok(body);
    }
    Err(GoogleError::Refused { host, status: status.as_u16(), hint: hint(&body) })
}

/// OAuth's name of an error (RFC 6749 section 5.2); any other words may repeat a secret.
fn hint(body: &[u8]) -> String {
    const NAMES: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let named = body.as_ref().and_then(|body| body.get("error")?.as_str());
    let known = named.and_then(|named| NAMES.iter().find(|name| **name == named));
    known.map(|name| format!(" ({name})")).unwrap_or_default()
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

//! Tokens of Microsoft Entra: for the secret of an application, a user's password, a workload's signed token, or the
//! identity of the machine. ADR 0007 says why this is not `azure_identity`.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Map, Value};
use tollgate_wire::{Secret, http::Outgoing, percent};

use crate::{Bounds, Client, NetError};

/// How long Entra may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest answer, bytes.
const MAX_ANSWER: usize = 256 << 10;
/// Largest token of a workload, bytes.
const MAX_WORKLOAD_TOKEN: u64 = 64 << 10;
/// Where a virtual machine asks who it is.
const INSTANCE_METADATA: &str = "http://169.254.169.254";

/// Who logs in, and what for.
#[derive(Clone, Debug)]
pub struct Login {
    /// `https://login.microsoftonline.com`, or another cloud's.
    pub authority: String,
    /// What the token is for: `https://cognitiveservices.azure.com/.default`.
    pub scope: String,
    /// How it is proved.
    pub proof: Proof,
}

/// How an identity is proved.
#[derive(Clone, Debug)]
pub enum Proof {
    /// An application and its secret.
    Secret {
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: Secret,
    },
    /// A user's name and password, on behalf of an application.
    Password {
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that the platform signed (Kubernetes) and that it renews in a file.
    Workload {
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// The file.
        file: PathBuf,
    },
    /// The identity of an app service: its own endpoint, and what that wants to see.
    Endpoint {
        /// The endpoint.
        url: String,
        /// The value of `x-identity-header`.
        header: Secret,
        /// One of several identities.
        client: Option<String>,
    },
    /// The identity of a virtual machine.
    Machine {
        /// Who is asked, if not the machine's own metadata address.
        host: Option<String>,
        /// One of several identities.
        client: Option<String>,
    },
}

/// A token, for a while.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub secret: Secret,
    /// How long it lives, if that is said.
    pub lives: Option<Duration>,
}

/// Why there is no token. Holds no secret: of Entra's words only its code is kept.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Entra could not be asked.
    #[error("{host} cannot be asked: {source}")]
    Net {
        /// Who was asked.
        host: String,
        /// Why.
        source: NetError,
    },
    /// Entra refused.
    #[error("{host} answers {status} {code}")]
    Refused {
        /// Who was asked.
        host: String,
        /// The status.
        status: u16,
        /// `invalid_client`, and the number that Microsoft's pages explain; may be empty.
        code: String,
    },
    /// The answer holds no token.
    #[error("the answer of {host} holds no token")]
    NoToken {
        /// Who was asked.
        host: String,
    },
    /// The token of the workload cannot be read.
    #[error("the workload's token at {file} cannot be read: {source}")]
    File {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A setting cannot stand in a request.
    #[error("{0} holds a character that no request can carry")]
    Setting(&'static str),
}

/// Logs in. `now` is the time since 1970.
///
/// # Errors
/// When there is no token.
pub async fn login(login: &Login, client: &Client, now: Duration) -> Result<Token, LoginError> {
    let outgoing = request(login).await?;
    let host = outgoing.url.split('/').nth(2).unwrap_or_default().to_owned();
    let net = |source| LoginError::Net { host: host.clone(), source };
    let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: Some(PATIENCE), max_body: MAX_ANSWER };
    let response = client.send(&outgoing, &bounds).await.map_err(net)?;
    let status = response.status;
    let body = response.collect().await.map_err(net)?;
    let answer: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    if !status.is_success() {
        return Err(LoginError::Refused { host, status: status.as_u16(), code: code(&answer) });
    }
    let Some(token) = answer.get("access_token").and_then(|token| token.as_str()) else {
        return Err(LoginError::NoToken { host });
    };
    let seconds = |name: &str| {
        let value = answer.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).map(Duration::from_secs)
    };
    let lives = seconds("expires_in").or_else(|| Some(seconds("expires_on")?.saturating_sub(now)));
    Ok(Token { secret: Secret::new(token), lives })
}

async fn request(login: &Login) -> Result<Outgoing, LoginError> {
    let scope = ("scope", login.scope.as_str());
    match &login.proof {
        Proof::Secret { tenant, client, secret } => {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", client.as_str()),
                ("client_secret", secret.expose()),
                scope,
            ];
            Ok(post(login, tenant, &form))
        }
        Proof::Password { tenant, client, user, password } => {
            let form = [
                ("grant_type", "password"),
                ("client_id", client.as_str()),
                ("username", user.as_str()),
                ("password", password.expose()),
                scope,
            ];
            Ok(post(login, tenant, &form))
        }
        Proof::Workload { tenant, client, file } => {
            let assertion = workload_token(file).await?;
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", client.as_str()),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.expose()),
                scope,
            ];
            Ok(post(login, tenant, &form))
        }
        Proof::Endpoint { url, header, client } => {
            let name = HeaderName::from_static("x-identity-header");
            let mut value =
                HeaderValue::try_from(header.expose()).map_err(|_| LoginError::Setting("IDENTITY_HEADER"))?;
            value.set_sensitive(true);
            Ok(get(&query(url, "2019-08-01", &login.scope, client.as_deref()), name, value))
        }
        Proof::Machine { host, client } => {
            let host = host.as_deref().unwrap_or(INSTANCE_METADATA).trim_end_matches('/');
            let url = format!("{host}/metadata/identity/oauth2/token");
            let url = query(&url, "2018-02-01", &login.scope, client.as_deref());
            Ok(get(&url, HeaderName::from_static("metadata"), HeaderValue::from_static("true")))
        }
    }
}

/// The file is read each time: the platform renews it.
async fn workload_token(file: &std::path::Path) -> Result<Secret, LoginError> {
    let failed = |source| LoginError::File { file: file.display().to_string(), source };
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_WORKLOAD_TOKEN).read_to_string(&mut text)?;
        Ok(text)
    });
    let text = read.await.map_err(|error| failed(std::io::Error::other(error)))?.map_err(failed)?;
    Ok(Secret::new(text.trim()))
}

fn post(login: &Login, tenant: &str, form: &[(&str, &str)]) -> Outgoing {
    let fields = form.iter().map(|(name, value)| format!("{name}={}", percent::encoded(value)));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    Outgoing {
        method: Method::POST,
        url: format!("{}/{}/oauth2/v2.0/token", login.authority.trim_end_matches('/'), percent::encoded(tenant)),
        headers,
        body: Bytes::from(fields.collect::<Vec<_>>().join("&")),
    }
}

fn get(url: &str, name: HeaderName, value: HeaderValue) -> Outgoing {
    let headers = HeaderMap::from_iter([(name, value)]);
    Outgoing { method: Method::GET, url: url.to_owned(), headers, body: Bytes::new() }
}

/// Machines name a resource where everyone else names a scope.
fn query(url: &str, version: &str, scope: &str, client: Option<&str>) -> String {
    let resource = percent::encoded(scope.strip_suffix("/.default").unwrap_or(scope));
    let client = client.map(|client| format!("&client_id={}", percent::encoded(client))).unwrap_or_default();
    format!("{url}?api-version={version}&resource={resource}{client}")
}

/// `invalid_client 7000215`: Entra's code and its first number. Its sentences may repeat what was sent.
fn code(answer: &Map<String, Value>) -> String {
    let word = answer.get("error").and_then(|error| error.as_str()).unwrap_or_default();
    let word: String = word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
    let number = answer.get("error_codes").and_then(|codes| codes.get(0)?.as_u64());
    match number {
        Some(number) => format!("{word} {number}"),
        None => word,
    }
}

//! Accounts of the clouds, turned into grants: kept until shortly before they expire, fetched by one call at a time while
//! the others wait for it.

mod aws;
mod entra;
mod google;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use sha2::{Digest as _, Sha256};
use tollgate_net::{Bounds, Client, NetError};
use tollgate_providers::{
    auth::{Account, Grant, TokenExchange},
    target::secret_value,
};
use tollgate_wire::{Failure, FailureKind, Secret, clock::Clock, http::Outgoing, percent};

/// A grant is fetched anew this long before it expires.
const EARLY: Duration = Duration::from_secs(300);
/// How long a token lives whose giver does not say.
const UNSAID: Duration = Duration::from_secs(3600);
/// How long a token endpoint may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest answer of a token endpoint, bytes.
const MAX_ANSWER: usize = 256 << 10;
/// Most accounts that are kept. Deployments name theirs, and clients may where a deployment allows it.
const MOST: usize = 4096;

/// All accounts in use. Keys of the table are hashes, so that it holds no secret but the grants.
#[derive(Default)]
pub(crate) struct Credentials {
    known: Mutex<HashMap<[u8; 32], Arc<Slot>>>,
}

type Slot = tokio::sync::Mutex<Option<Kept>>;

/// A grant, and when it must be fetched anew (monotonic time); never where it does not expire.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) grant: Grant,
    pub(crate) until: Option<Duration>,
}

impl Credentials {
    /// The grant of this account.
    ///
    /// # Errors
    /// `Authentication`, in words that say whose account does not work; `Connection` or `ServiceUnavailable` where nobody
    /// could say so.
    pub(crate) async fn grant(&self, account: &Account, client: &Client, clock: &dyn Clock) -> Result<Grant, Failure> {
        if let Some(stated) = account.stated() {
            return Ok(stated);
        }
        let slot = self.slot(account);
        let mut kept = slot.lock().await;
        let now = clock.monotonic();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.until.is_none_or(|until| now < until)) {
            return Ok(kept.grant.clone());
        }
        let fresh = fetch(account, client, clock).await?;
        let grant = fresh.grant.clone();
        *kept = Some(fresh);
        Ok(grant)
    }

    fn slot(&self, account: &Account) -> Arc<Slot> {
        let key: [u8; 32] = Sha256::digest(account.identity().expose().as_bytes()).into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&key) {
            known.clear();
        }
        Arc::clone(known.entry(key).or_default())
    }
}

async fn fetch(account: &Account, client: &Client, clock: &dyn Clock) -> Result<Kept, Failure> {
    match account {
        Account::Exchange(exchange) => token(exchange, client, clock.monotonic()).await,
        Account::Aws(account) => aws::fetch(account, client, clock.monotonic()).await,
        Account::Google(account) => google::grant(account, client, clock).await,
        Account::Entra(account) => entra::grant(account, client, clock).await,
    }
}

/// What it is that no token came: a server that is not reached, or is in trouble, says nothing of the account.
fn kind_of(error: &NetError) -> FailureKind {
    match error {
        NetError::Timeout { .. } | NetError::Connect { .. } | NetError::Dns { .. } => FailureKind::Connection,
        NetError::Tls { .. } | NetError::Closed | NetError::Cut => FailureKind::Connection,
        NetError::TooLarge { .. } | NetError::Encoding { .. } | NetError::Invalid(_) | NetError::Setting(_) => {
            FailureKind::Authentication
        }
    }
}

/// The same of a server that answers with this status.
fn kind_of_status(status: u16) -> FailureKind {
    match status {
        429 | 500.. => FailureKind::ServiceUnavailable,
        _ => FailureKind::Authentication,
    }
}

/// When to fetch anew what lives this long.
pub(crate) fn until(now: Duration, lives: Duration) -> Duration {
    // A short life is used for at least half of it.
    now.saturating_add(lives.saturating_sub(EARLY).max(lives / 2))
}

async fn token(exchange: &TokenExchange, client: &Client, now: Duration) -> Result<Kept, Failure> {
    let host = exchange.url.split('/').nth(2).unwrap_or_default();
    let failed = |kind: FailureKind, what: String| {
        Failure::new(kind, format!("the token endpoint at {host} gave no token: {what}"))
    };
    let refused = |what: String| failed(FailureKind::Authentication, what);
    let unreached = |error: NetError| failed(kind_of(&error), error.to_string());
    let outgoing = Outgoing {
        method: Method::POST,
        url: exchange.url.clone(),
        headers: headers(exchange)?,
        body: Bytes::from(form(&exchange.form)),
    };
    let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: Some(PATIENCE), max_body: MAX_ANSWER };
    let response = client.send(&outgoing, &bounds).await.map_err(unreached)?;
    let status = response.status;
    let body = response.collect().await.map_err(unreached)?;
    if !status.is_success() {
        // Its words may repeat the secret.
        return Err(failed(kind_of_status(status.as_u16()), format!("status {}", status.as_u16())));
    }
    let answer: serde_json::Value = serde_json::from_slice(&body).map_err(|_| refused("no JSON".to_owned()))?;
    let token = answer.get("access_token").and_then(serde_json::Value::as_str);
    let Some(token) = token else { return Err(refused("no access_token in the answer".to_owned())) };
    let lives = answer.get("expires_in").and_then(|lives| lives.as_u64().or_else(|| lives.as_str()?.parse().ok()));
    let lives = lives.map_or(UNSAID, Duration::from_secs);
    Ok(Kept { grant: Grant::Token(Secret::new(token)), until: Some(until(now, lives)) })
}

fn headers(exchange: &TokenExchange) -> Result<HeaderMap, Failure> {
    use base64::Engine as _;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some((user, password)) = &exchange.basic {
        let both = format!("{}:{}", user.expose(), password.expose());
        let encoded = base64::engine::general_purpose::STANDARD.encode(both);
        headers.insert(header::AUTHORIZATION, secret_value(&format!("Basic {encoded}"))?);
    }
    Ok(headers)
}

fn form(fields: &[(&'static str, Secret)]) -> String {
    let encoded = fields.iter().map(|(name, value)| format!("{name}={}", percent::encoded(value.expose())));
    encoded.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_can_hold_any_secret() {
        let fields = [("grant_type", Secret::new("client_credentials")), ("client_secret", Secret::new("a&b=c +ü"))];
        assert_eq!(form(&fields), "grant_type=client_credentials&client_secret=a%26b%3Dc%20%2B%C3%BC");
    }

    #[test]
    fn a_server_in_trouble_says_nothing_of_the_account() {
        assert_eq!(kind_of_status(401), FailureKind::Authentication);
        assert_eq!(kind_of_status(503), FailureKind::ServiceUnavailable);
        assert_eq!(kind_of(&NetError::Closed), FailureKind::Connection);
    }

    #[test]
    fn a_token_is_renewed_five_minutes_early_and_a_short_one_at_its_half() {
        let now = Duration::from_secs(10);
        assert_eq!(until(now, Duration::from_secs(3600)), Duration::from_secs(10 + 3300));
        assert_eq!(until(now, Duration::from_secs(60)), Duration::from_secs(10 + 30));
    }
}

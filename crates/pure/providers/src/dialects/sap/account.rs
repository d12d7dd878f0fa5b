//! Who asks, and where: a service key, or the variables that SAP's own tools read.

use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_wire::Secret;

use crate::{
    auth::{Account, TokenExchange},
    locate::{Located, Site},
    resolve::Unservable,
    target::Credential,
};

/// Where the list of deployments and the account are, and whose they are.
///
/// # Errors
/// When there is no account, or only a part of one.
pub fn locate(site: &Site<'_>) -> Result<Located, Unservable> {
    let group = site.env(&["AICORE_RESOURCE_GROUP"]).unwrap_or_else(|| "default".to_owned());
    let facts = BTreeMap::from([("resource_group", group)]);
    let model = site.model.to_owned();
    let own_key = site.settings.api_key.as_ref().map(|key| key.expose().to_owned());
    if let Some(token) = own_key.as_ref().filter(|key| !key.trim_start().starts_with('{')) {
        // No service key: a token that somebody else fetched.
        let credential = Some(Credential::Token(Secret::new(token.clone())));
        return Ok(Located { model, base_url: api(site.env(&["AICORE_BASE_URL"])), credential, facts });
    }
    let service = own_key.or_else(|| site.env(&["AICORE_SERVICE_KEY"])).and_then(|text| service_key(&text));
    let service = service.or_else(|| site.env(&["VCAP_SERVICES"]).and_then(|text| bound_service(&text)));
    let account = match service {
        Some(service) => service,
        None => ServiceKey {
            id: site.env(&["AICORE_CLIENT_ID"]),
            secret: site.env(&["AICORE_CLIENT_SECRET"]),
            auth: site.env(&["AICORE_AUTH_URL"]),
            api: site.env(&["AICORE_BASE_URL"]),
        },
    };
    let (Some(id), Some(secret), Some(auth)) = (account.id, account.secret, account.auth) else {
        let words = "provider 'sap' needs an account; set api_key to the text of a service key, or AICORE_SERVICE_KEY, \
                     or AICORE_CLIENT_ID, AICORE_CLIENT_SECRET and AICORE_AUTH_URL";
        return Err(Unservable::Missing(words.to_owned()));
    };
    let auth = auth.trim_end_matches('/');
    let exchange = TokenExchange {
        url: if auth.ends_with(TOKEN_PATH) { auth.to_owned() } else { format!("{auth}{TOKEN_PATH}") },
        form: vec![
            ("grant_type", Secret::new("client_credentials")),
            ("client_id", Secret::new(id)),
            ("client_secret", Secret::new(secret)),
        ],
        basic: None,
    };
    let credential = Some(Credential::Account(Account::Exchange(exchange).into()));
    Ok(Located { model, base_url: api(account.api), credential, facts })
}

const TOKEN_PATH: &str = "/oauth/token";

struct ServiceKey {
    id: Option<String>,
    secret: Option<String>,
    auth: Option<String>,
    api: Option<String>,
}

/// The API's address ends with its version.
fn api(address: Option<String>) -> Option<String> {
    let address = address?;
    let address = address.trim_end_matches('/');
    Some(if address.ends_with("/v2") { address.to_owned() } else { format!("{address}/v2") })
}

fn service_key(text: &str) -> Option<ServiceKey> {
    let key: Value = serde_json::from_str(text).ok()?;
    let key = key.get("credentials").unwrap_or(&key);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    Some(ServiceKey {
        id: text(key.get("clientid")),
        secret: text(key.get("clientsecret")),
        auth: text(key.get("url")),
        api: text(key.get("serviceurls").and_then(|urls| urls.get("AI_API_URL"))),
    })
}

/// The service that Cloud Foundry has bound.
fn bound_service(text: &str) -> Option<ServiceKey> {
    let services: Value = serde_json::from_str(text).ok()?;
    let all = services.as_object()?.values().filter_map(Value::as_array).flatten();
    let bound = all.into_iter().find(|service| service.get("label").and_then(Value::as_str) == Some("aicore"))?;
    service_key(&bound.to_string())
}

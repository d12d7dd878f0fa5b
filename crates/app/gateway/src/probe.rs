//! The cheap question whether a provider is there: any HTTP answer from its address will do.

use std::time::Duration;

use http::Method;
use tollgate_net::{Bounds, Client};
use tollgate_providers::{provider::Auth, target::Credential};
use tollgate_wire::http::Outgoing;

use crate::deployment::Place;

/// How long a provider may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for the list of models with the deployment's key. Every status but 401 and 403 (the key is refused) and 5xx is
/// a sign of life, and no more than that: many servers answer 404, as they have no such list.
pub(crate) async fn reachable(client: &Client, place: &Place) -> Result<(), String> {
    let headers = place.target.request_headers().map_err(|failure| failure.message)?;
    let target = &place.target;
    let url = models_url(target.provider.auth, &place.address, target.api_version.as_deref());
    let outgoing = Outgoing { method: Method::GET, url, headers, body: bytes::Bytes::new() };
    let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: Some(PATIENCE), max_body: 1 << 20 };
    match client.send(&outgoing, &bounds).await {
        // An account's token is not fetched for this, so that it is missed says nothing.
        Ok(response) if matches!(response.status.as_u16(), 401 | 403) && !is_account(place) => {
            Err(format!("the provider refuses the key ({})", response.status))
        }
        Ok(response) if response.status.is_server_error() => Err(format!("the provider answers {}", response.status)),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn is_account(place: &Place) -> bool {
    matches!(place.target.credential, Credential::Account(_))
}

/// Where the list of models is, for a base address as people write it: with or without the path of the calls.
fn models_url(auth: Auth, address: &str, version: Option<&str>) -> String {
    let address = address.trim_end_matches('/');
    match auth {
        Auth::Anthropic => {
            let base = ["/messages", "/complete"].iter().find_map(|path| address.strip_suffix(path)).unwrap_or(address);
            format!("{}/v1/models", base.strip_suffix("/v1").unwrap_or(base))
        }
        Auth::Azure => {
            // A host may be called `openai`.
            let host = address.find("://").map_or(0, |colon| colon + 3);
            let (scheme, rest) = address.split_at(host);
            let root = rest.split_once("/openai/").map(|(root, _)| root).or_else(|| rest.strip_suffix("/openai"));
            let root = root.unwrap_or(rest);
            match version {
                Some("v1" | "latest" | "preview") => format!("{scheme}{root}/openai/v1/models"),
                _ => format!("{scheme}{root}/openai/models?api-version={}", version.unwrap_or("2024-10-21")),
            }
        }
        _ => format!("{}/models", address.strip_suffix("/chat/completions").unwrap_or(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_lists_its_models_elsewhere() {
        let check = |auth, address: &str, version, expected: &str| {
            assert_eq!(models_url(auth, address, version), expected, "{address}");
        };
        for base in ["https://a.test", "https://a.test/", "https://a.test/v1", "https://a.test/v1/messages"] {
            check(Auth::Anthropic, base, None, "https://a.test/v1/models");
        }
        for base in
            ["https://openai", "https://openai/openai", "https://openai/openai/deployments/gpt/chat/completions"]
        {
            check(Auth::Azure, base, Some("2024-02-01"), "https://openai/openai/models?api-version=2024-02-01");
        }
        check(Auth::Azure, "https://a.test/openai/v1", Some("v1"), "https://a.test/openai/v1/models");
        check(Auth::Bearer, "http://a.test/v1", None, "http://a.test/v1/models");
        check(Auth::Bearer, "http://a.test/v1/chat/completions", None, "http://a.test/v1/models");
    }
}

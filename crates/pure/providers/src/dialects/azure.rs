//! Azure `OpenAI`: `OpenAI`'s words at addresses that hold the deployment and the API version.

use crate::{provider::Auth, target::Target};

/// Used where neither the deployment nor the environment names a version.
pub const DEFAULT_API_VERSION: &str = "2025-02-01-preview";

/// The address for `path` at an Azure deployment; `None` for other providers.
#[must_use]
pub fn url(target: &Target, path: &str) -> Option<String> {
    if target.provider.auth != Auth::Azure {
        return None;
    }
    let (base, _) = target.base_url.split_once('?').unwrap_or((&target.base_url, ""));
    let base = base.trim_end_matches('/');
    let version = target.api_version.as_deref().unwrap_or(DEFAULT_API_VERSION);
    // The v1 form has neither a deployment nor a date in its address.
    if matches!(version, "v1" | "latest" | "preview") {
        let root = base.strip_suffix("/openai/v1").or_else(|| base.strip_suffix("/openai")).unwrap_or(base);
        let query = if version == "v1" { String::new() } else { format!("?api-version={version}") };
        return Some(format!("{root}/openai/v1{path}{query}"));
    }
    let address = if base.ends_with(path) {
        base.to_owned()
    } else if base.contains("/openai/deployments/") {
        format!("{base}{path}")
    } else {
        let root = base.strip_suffix("/openai").unwrap_or(base);
        format!("{root}/openai/deployments/{}{path}", target.model)
    };
    Some(format!("{address}?api-version={version}"))
}

//! Azure: `OpenAI`'s words at addresses that hold the deployment and the API version, which also says what is taken.

use serde_json::{Value, json};
use tollgate_wire::{Failure, FailureKind, RawBody};

use crate::{dialects::openai_responses, params::CallParams, target::Target};

/// Hosts of whole Azure resources, as against those of single models.
pub(crate) const HOSTS: &[&str] = &["services.ai.azure.com", "openai.azure.com", "cognitiveservices.azure.com"];
/// The version of the Foundry's model inference API.
const FOUNDRY_API_VERSION: &str = "2024-05-01-preview";

/// Used where neither the deployment nor the environment names a version.
pub const DEFAULT_API_VERSION: &str = "2025-02-01-preview";

/// The address for `path` at an Azure deployment.
#[must_use]
pub fn url(target: &Target, path: &str) -> String {
    let (base, _) = target.base_url.split_once('?').unwrap_or((&target.base_url, ""));
    let base = base.trim_end_matches('/');
    if let Some(rest) = path.strip_prefix(openai_responses::PATH) {
        return responses_url(base, target, rest);
    }
    let mut version = target.api_version.as_deref().unwrap_or(DEFAULT_API_VERSION);
    // The models that write sound down came later than most configurations, and `LiteLLM` asks for this version too.
    if path.starts_with("/audio/t") && version.starts_with("20") && version < DEFAULT_API_VERSION {
        version = DEFAULT_API_VERSION;
    }
    // The v1 form has neither a deployment nor a date in its address.
    if is_v1(target) {
        let root = base.strip_suffix("/openai/v1").or_else(|| base.strip_suffix("/openai")).unwrap_or(base);
        let query = if version == "v1" { String::new() } else { format!("?api-version={version}") };
        return format!("{root}/openai/v1{path}{query}");
    }
    let address = if base.ends_with(path) {
        base.to_owned()
    } else if base.contains("/openai/deployments/") {
        format!("{base}{path}")
    } else {
        let root = base.strip_suffix("/openai").unwrap_or(base);
        format!("{root}/openai/deployments/{}{path}", target.model)
    };
    format!("{address}?api-version={version}")
}

/// Answers of the Responses API belong to the resource, not to a deployment. Dated versions know the API since March 2025.
fn responses_url(base: &str, target: &Target, rest: &str) -> String {
    let version = target.api_version.as_deref().unwrap_or("preview");
    let root = base.split_once("/openai/").map(|(root, _)| root).or_else(|| base.strip_suffix("/openai"));
    let root = root.unwrap_or(base);
    match version {
        "v1" => format!("{root}/openai/v1/responses{rest}"),
        "latest" | "preview" => format!("{root}/openai/v1/responses{rest}?api-version={version}"),
        dated => format!("{root}/openai/responses{rest}?api-version={dated}"),
    }
}

/// The v1 form takes keys as `OpenAI` itself does, and names no date.
pub(crate) fn is_v1(target: &Target) -> bool {
    matches!(target.api_version.as_deref(), Some("v1" | "latest" | "preview"))
}

/// The address for `path` at Azure AI Foundry: a resource (`/models/…?api-version=`) or the endpoint of one model.
#[must_use]
pub fn foundry_url(target: &Target, path: &str) -> String {
    let (base, query) = target.base_url.split_once('?').unwrap_or((&target.base_url, ""));
    let base = base.trim_end_matches('/');
    if base.ends_with(path) {
        return target.base_url.clone();
    }
    let resource = target.is_at(&["services.ai.azure.com"]) && !base.ends_with("/v1");
    let middle = if resource && !base.ends_with("/models") { "/models" } else { "" };
    let version = target.api_version.as_deref().or(resource.then_some(FOUNDRY_API_VERSION));
    let query = match (query, version) {
        ("", None) => String::new(),
        ("", Some(version)) => format!("?api-version={version}"),
        (query, _) => format!("?{query}"),
    };
    format!("{base}{middle}{path}{query}")
}

/// Year and month of the API version; `None` for versions without a date (`v1`, `preview`).
fn version_date(target: &Target) -> Option<(u32, u32)> {
    let version = target.api_version.as_deref().unwrap_or(DEFAULT_API_VERSION);
    let mut numbers = version.split('-').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// API versions before August 2024 and the GPT-3.5 models do not know JSON schemas.
#[must_use]
pub fn lacks_json_schema(target: &Target) -> bool {
    let old_model = target.model.contains("gpt-35") || target.model.contains("gpt-3.5");
    old_model || version_date(target).is_some_and(|date| date < (2024, 8))
}

/// What older API versions do not take: `tool_choice` before December 2023, its `required` before June 2024.
///
/// # Errors
/// `UnsupportedParams`, unless it may be dropped.
pub fn settle_request(body: &mut RawBody, target: &Target, call: &CallParams) -> Result<(), Failure> {
    let (Some(date), Some(choice)) = (version_date(target), body.typed::<Value>("tool_choice")) else { return Ok(()) };
    let version = target.api_version.as_deref().unwrap_or(DEFAULT_API_VERSION);
    let message = if date < (2023, 12) {
        format!(
            "Azure does not support 'tool_choice', for api_version={version}. Bump your API version to \
             '2023-12-01-preview' or later."
        )
    } else if choice == "required" && date < (2024, 6) {
        format!(
            "Azure does not support 'required' as a tool_choice param, for api_version={version}. To drop \
             'tool_choice=required' for calls with this Azure API version, set `litellm.drop_params=True` or for \
             proxy:\n\n`litellm_settings:\n drop_params: true`\nAzure API Reference: \
             https://learn.microsoft.com/en-us/azure/ai-services/openai/reference#chat-completions"
        )
    } else {
        return Ok(());
    };
    if !call.drop_params.unwrap_or(target.params.drop_params) {
        return Err(Failure::new(FailureKind::UnsupportedParams, message));
    }
    body.remove("tool_choice");
    Ok(())
}

/// What Azure's filters say about a prompt they refused, under the names that `LiteLLM`'s clients read.
pub(crate) fn filter_fields(error: &Value) -> Option<Value> {
    let inner = error.get("innererror")?;
    Some(json!({"innererror": inner, "inner_error": inner, "azure_error": error}))
}

//! Project, location, account and addresses of Vertex AI.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use tollgate_wire::Secret;

use super::{Publisher, publisher};
use crate::{
    auth::{Account, GoogleAccount},
    dialects::gemini,
    locate::{Located, Site},
    resolve::Unservable,
    target::{Credential, Target},
};

/// Where models are that nobody gives a place; `LiteLLM`'s default.
const LOCATION: &str = "us-central1";
/// Where gcloud keeps the credentials of whoever logged in, below the home directory.
const WELL_KNOWN: &str = ".config/gcloud/application_default_credentials.json";

/// Works out where a deployment at Vertex AI lives.
///
/// # Errors
/// When nothing names the project.
pub fn locate(site: &Site<'_>) -> Result<Located, Unservable> {
    let model = site.model.strip_prefix("gemini/").unwrap_or(site.model).to_owned();
    let credentials = site
        .secret("vertex_credentials", &["VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"])
        .or_else(|| site.secret("vertex_ai_credentials", &[]));
    let configured = site.settings.api_base.as_deref().unwrap_or_default();
    let project = site
        .text("vertex_project", &[])
        .or_else(|| site.text("vertex_ai_project", &["VERTEXAI_PROJECT"]))
        .or_else(|| segment(configured, "projects"))
        .or_else(|| credentials.as_ref().and_then(project_of))
        .or_else(|| site.env(&["GOOGLE_CLOUD_PROJECT"]));
    let location = site
        .text("vertex_location", &[])
        .or_else(|| site.text("vertex_ai_location", &[]))
        .or_else(|| segment(configured, "locations"))
        .or_else(|| site.text("region_name", &["VERTEXAI_LOCATION", "VERTEX_LOCATION"]))
        .unwrap_or_else(|| default_location(&model).to_owned());
    let Some(project) = project else {
        let words =
            "provider 'vertex_ai' needs a project; set vertex_project or the environment variable VERTEXAI_PROJECT";
        return Err(Unservable::Missing(words.to_owned()));
    };
    if !is_name(&project) || !is_name(&location) {
        let words = "vertex_project and vertex_location may hold letters, digits, '-', '.' and ':' only";
        return Err(Unservable::Missing(words.to_owned()));
    }
    let account = GoogleAccount {
        well_known: site.env(&["HOME"]).map(|home| format!("{home}/{WELL_KNOWN}")),
        metadata_host: site.env(&["GCE_METADATA_HOST"]),
        credentials,
    };
    Ok(Located {
        base_url: Some(host(&location)),
        credential: Some(Credential::Account(Arc::new(Account::Google(account)))),
        facts: BTreeMap::from([("project", project), ("location", location)]),
        model,
    })
}

/// What follows `name` in the path of an address.
fn segment(address: &str, name: &str) -> Option<String> {
    let mut segments = address.split('/').skip_while(|segment| *segment != name);
    segments.nth(1).filter(|segment| !segment.is_empty()).map(str::to_owned)
}

/// What may stand in a path and a host name. Old projects carry their company's domain (`example.com:project`).
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:_".contains(&byte))
}

/// The project that a service account belongs to. Files were read before; a path says nothing here.
fn project_of(credentials: &Secret) -> Option<String> {
    let file: Value = serde_json::from_str(credentials.expose()).ok()?;
    let project = ["project_id", "quota_project_id"].iter().find_map(|name| file.get(*name)?.as_str());
    project.map(str::to_owned)
}

/// The third generation is served everywhere at once, and nowhere in particular.
fn default_location(model: &str) -> &'static str {
    if gemini::generation(model).is_some_and(|generation| generation >= 3) { "global" } else { LOCATION }
}

fn host(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        // Of a whole continent.
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

/// `projects/…/locations/…`.
fn home(target: &Target) -> String {
    let fact = |name: &str| target.fact(name).unwrap_or_default().to_owned();
    format!("projects/{}/locations/{}", fact("project"), fact("location"))
}

/// The address without what comes after the API's version: a host alone, or a host with a version.
fn versioned(base: &str) -> Option<String> {
    let base = base.trim_end_matches('/');
    let (_, rest) = base.split_once("://")?;
    match rest.split_once('/').map(|(_, path)| path) {
        None => Some(format!("{base}/v1")),
        Some("v1" | "v1beta1") => Some(base.to_owned()),
        Some(_) => None,
    }
}

/// The address of a method of the target's model. An `api_base` may be a host, a host with a version, the path of a place
/// (`…/locations/us-east5`), or that of the model itself.
#[must_use]
pub fn url(target: &Target, method: &str) -> String {
    let base = target.base_url.as_str();
    if let Some(root) = versioned(base) {
        return format!("{root}/{}/{}:{method}", home(target), model_path(target));
    }
    let names_model = base.contains("/models/") || base.contains("/endpoints/");
    if !names_model && segment(base, "locations").is_some_and(|place| base.ends_with(&place)) {
        return format!("{base}/{}:{method}", model_path(target));
    }
    format!("{base}:{method}")
}

fn model_path(target: &Target) -> String {
    let model = target.model.strip_prefix("anthropic/").unwrap_or(&target.model);
    let publisher = match publisher(&target.model) {
        Publisher::Anthropic => "anthropic",
        Publisher::Mistral => "mistralai",
        // Models that were tuned have an endpoint instead of a name.
        _ if model.bytes().all(|byte| byte.is_ascii_digit()) => return format!("endpoints/{model}"),
        Publisher::Google | Publisher::Others => "google",
    };
    format!("publishers/{publisher}/models/{model}")
}

/// Where everyone else's models answer in `OpenAI`'s words.
pub(super) fn openapi_url(target: &Target) -> String {
    const PATH: &str = "endpoints/openapi/chat/completions";
    let base = target.base_url.as_str();
    match versioned(base) {
        Some(root) => format!("{root}/{}/{PATH}", home(target)),
        None if base.ends_with("/chat/completions") => base.to_owned(),
        None if base.ends_with("/openapi") => format!("{base}/chat/completions"),
        None => format!("{base}/{PATH}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_with_a_host_alone_is_completed() {
        for (base, expected) in [
            ("http://h", Some("http://h/v1")),
            ("http://h:80/", Some("http://h:80/v1")),
            ("https://h/v1beta1", Some("https://h/v1beta1")),
            ("https://h/v1/projects/p/locations/l", None),
        ] {
            assert_eq!(versioned(base).as_deref(), expected, "{base}");
        }
    }

    #[test]
    fn names_tell_whose_models_they_are() {
        for (model, expected) in [
            ("gemini-2.5-pro", Publisher::Google),
            ("1234567890", Publisher::Google),
            ("claude-opus-4@20250514", Publisher::Anthropic),
            ("mistral-large-2411@001", Publisher::Mistral),
            ("meta/llama-4-scout-17b-16e-instruct-maas", Publisher::Others),
        ] {
            assert_eq!(publisher(model), expected, "{model}");
        }
    }
}

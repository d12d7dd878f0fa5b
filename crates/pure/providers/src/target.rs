//! Where an attempt goes: one deployment, with everything that its requests carry.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};
use tollgate_wire::{Failure, FailureKind, Secret, facts::ModelFacts};

use crate::{
    auth::Account,
    codec::ProviderDialect,
    dialects::{anthropic, azure, prompt::PromptTemplate},
    provider::{Auth, Provider},
};

/// What a model name's second prefix says about how it is called (`azure/gpt5_series/my-deployment`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Series {
    /// Nothing; the name itself tells.
    #[default]
    Unsaid,
    /// A reasoning model of the o series.
    OSeries,
    /// A reasoning model of the GPT-5 series.
    Gpt5,
    /// To be called through the Responses API.
    Responses,
}

/// A key, by what it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// None: a local server.
    None,
    /// An API key.
    Key(Secret),
    /// A bearer token (Entra, OAuth).
    Token(Secret),
    /// An account that somebody outside turns into a grant, which [`crate::auth::sign`] puts on the finished request.
    Account(Arc<Account>),
}

/// How parameters are treated that the target does not take.
#[derive(Clone, Debug, Default)]
pub struct ParamPolicy {
    /// Drop what the provider does not take, instead of refusing.
    pub drop_params: bool,
    /// Also drop these: names or paths such as `tools[*].function.description`.
    pub additional_drop_params: Vec<String>,
    /// Send these although the provider is not known to take them.
    pub allowed_openai_params: Vec<String>,
    /// The request may be changed to please the provider.
    pub modify_params: bool,
    /// Functions become part of the prompt where the provider has no tools.
    pub add_function_to_prompt: bool,
    /// Thoughts are put into the content between `<think>` tags.
    pub merge_reasoning: bool,
}

/// One deployment as a dialect sees it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The row.
    pub provider: &'static Provider,
    /// The model's name at the provider.
    pub model: String,
    /// What the model string's second prefix said.
    pub series: Series,
    /// The address, without a trailing slash.
    pub base_url: String,
    /// `api-version` of Azure and its like.
    pub api_version: Option<String>,
    /// The key.
    pub credential: Credential,
    /// `OpenAI-Organization`.
    pub organization: Option<String>,
    /// Headers of the configuration that every request carries.
    pub headers: HeaderMap,
    /// Parameters for requests that do not set them.
    pub defaults: Map<String, Value>,
    /// Members that every request carries.
    pub extra_body: Map<String, Value>,
    /// How parameters are treated that the target does not take.
    pub params: ParamPolicy,
    /// What the catalog knows about the model.
    pub facts: ModelFacts,
    /// What the row worked out beside the address: `region`, `project`, ….
    pub place: BTreeMap<&'static str, String>,
    /// How conversations become prompts, where the configuration says something about it.
    pub template: Option<Arc<PromptTemplate>>,
}

impl Target {
    /// How chat is spoken to this target, if it is.
    #[must_use]
    pub fn chat_dialect(&self) -> Option<&'static dyn ProviderDialect> {
        self.provider.chat_by_model.and_then(|choose| choose(self)).or(self.provider.chat)
    }

    /// The name under which error messages speak of the provider.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.provider.title
    }

    /// What the row worked out beside the address ([`crate::locate`]).
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.place.get(name).map(String::as_str)
    }

    /// What a frame of a stream holds.
    ///
    /// # Errors
    /// `InvalidResponse` when it is no JSON.
    pub fn event(&self, data: &[u8]) -> Result<Value, Failure> {
        serde_json::from_slice(data)
            .map_err(|error| self.failure(FailureKind::InvalidResponse, format!("an event is no JSON: {error}")))
    }

    /// The failure of a stream that ended without the provider's last word.
    #[must_use]
    pub fn unfinished(&self, started: bool) -> Failure {
        let words = if started { "the stream ended before the answer did" } else { "the stream held no answer" };
        self.failure(FailureKind::InvalidResponse, words)
    }

    /// A failure in the provider's name.
    #[must_use]
    pub fn failure(&self, kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure::new(kind, message).from_provider(self.provider.title)
    }

    /// `path` below the base URL, unless the base URL already ends with it. A query of the base URL stays the last.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        below(&self.base_url, path)
    }

    /// The headers of a JSON request: content type, credential, the row's and the configuration's own.
    ///
    /// # Errors
    /// When the key cannot stand in a header (it holds a line break, say).
    pub fn request_headers(&self) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.authorize(&mut headers)?;
        for (name, value) in self.provider.quirks.headers {
            set_header(&mut headers, &HeaderName::from_static(name), &HeaderValue::from_static(value));
        }
        for (name, value) in &self.headers {
            set_header(&mut headers, name, value);
        }
        Ok(headers)
    }

    /// Whether the address is one of these hosts, or below one of them.
    pub(crate) fn is_at(&self, hosts: &[&str]) -> bool {
        let host = crate::resolve::host_of(&self.base_url).unwrap_or_default();
        hosts.iter().any(|known| host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    }

    fn authorize(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        if let (Credential::Key(key), Auth::Snowflake) = (&self.credential, self.provider.auth) {
            return crate::dialects::snowflake::authorize(key, headers);
        }
        let (name, value) = match (&self.credential, self.provider.auth) {
            // A signature goes over the whole request, and is made last.
            (Credential::None | Credential::Account(_), _) => return Ok(()),
            (Credential::Key(key), Auth::Header(name)) => (HeaderName::from_static(name), key.expose().to_owned()),
            (Credential::Key(key), Auth::Azure) if !azure::is_v1(self) => {
                (HeaderName::from_static("api-key"), key.expose().to_owned())
            }
            (Credential::Key(key), Auth::AzureFoundry) if self.is_at(azure::HOSTS) => {
                (HeaderName::from_static("api-key"), key.expose().to_owned())
            }
            (Credential::Key(key), Auth::Anthropic) if !anthropic::is_oauth(key) => {
                (HeaderName::from_static("x-api-key"), key.expose().to_owned())
            }
            (Credential::Key(key), Auth::Scheme(scheme)) => {
                (header::AUTHORIZATION, format!("{scheme} {}", key.expose()))
            }
            (Credential::Key(key) | Credential::Token(key), _) => {
                (header::AUTHORIZATION, format!("Bearer {}", key.expose()))
            }
        };
        headers.insert(name, secret_value(&value)?);
        Ok(())
    }
}

/// A header's value that must not be printed.
///
/// # Errors
/// `Misconfigured` when the text holds a character that no header can carry.
pub fn secret_value(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        Failure::new(FailureKind::Misconfigured, "the deployment's api_key holds a character that no header can carry")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Sets a header. What several sides ask for in Anthropic's list of beta features adds up; of any other header the
/// last one counts.
pub fn set_header(headers: &mut HeaderMap, name: &HeaderName, value: &HeaderValue) {
    let joined = if name.as_str() == anthropic::BETA_HEADER { anthropic::join_betas(headers, value) } else { None };
    headers.insert(name, joined.unwrap_or_else(|| value.clone()));
}

fn below(base_url: &str, path: &str) -> String {
    let (base, query) = base_url.split_once('?').map_or((base_url, ""), |(base, query)| (base, query));
    let base = if query.is_empty() { base } else { base.trim_end_matches('/') };
    let path = if base.ends_with(path) { "" } else { path };
    let mark = match query {
        "" => "",
        _ if path.contains('?') => "&",
        _ => "?",
    };
    format!("{base}{path}{mark}{query}")
}

/// The address that most rows give a path: [`Target::url`].
#[must_use]
pub fn below_base(target: &Target, path: &str) -> String {
    target.url(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_before_the_query_of_an_address() {
        for (base, path, url) in [
            ("https://h/v1", "/chat/completions", "https://h/v1/chat/completions"),
            ("https://h/v1/chat/completions", "/chat/completions", "https://h/v1/chat/completions"),
            ("https://h/v1?a=b", "/chat/completions", "https://h/v1/chat/completions?a=b"),
            ("https://h/v1/?a=b&c=/d", "/models", "https://h/v1/models?a=b&c=/d"),
            ("https://h/v1/models?a=b", "/models", "https://h/v1/models?a=b"),
            ("https://h/v1?a=b", "/x?y=z", "https://h/v1/x?y=z&a=b"),
        ] {
            assert_eq!(below(base, path), url);
        }
    }
}

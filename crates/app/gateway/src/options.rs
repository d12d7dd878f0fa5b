//! The gateway's own members of a request (surface chapter 4.3): read, and taken out before anything goes upstream.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tollgate_providers::params::CallParams;
use tollgate_router::{FallbackList, Plan};
use tollgate_wire::{Failure, FailureKind, RawBody, Secret, http::stays_here};

use crate::{inbound::Route, routing::OwnFallbacks};

/// Members that are ours, never a provider's. Those whose feature comes later are taken out all the same.
const OURS: &[&str] = &[
    "metadata",
    "litellm_metadata",
    "tags",
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "disable_fallbacks",
    "max_fallbacks",
    "include_fallback_errors",
    "num_retries",
    "max_retries",
    "request_timeout",
    "timeout",
    "stream_timeout",
    "caching",
    "cache",
    "mock_response",
    "mock_tool_calls",
    "mock_timeout",
    "mock_delay",
    "mock_testing_fallbacks",
    "mock_testing_context_fallbacks",
    "mock_testing_content_policy_fallbacks",
    "mock_testing_rate_limit_error",
    "drop_params",
    "additional_drop_params",
    "allowed_openai_params",
    "guardrails",
    "guardrail_config",
    "policies",
    "no-log",
    "priority",
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "user_config",
    "fastest_response",
    "litellm_call_id",
    "litellm_session_id",
    "litellm_trace_id",
    "prompt_id",
    "prompt_variables",
    "prompt_version",
    "enable_tag_filtering",
    "router_settings_override",
    "extra_headers",
    "custom_llm_provider",
    "success_callback",
    "failure_callback",
    "callbacks",
    "litellm_logging_obj",
    "model_info",
    "allowed_model_region",
    "proxy_server_request",
    "secret_fields",
    "ttl",
];

/// Members with which a client would choose where its request goes, or who is told of it (decision 16).
const CLIENT_SIDE: &[&str] = &["api_base", "base_url", "api_key", "api_version", "user_config"];
/// Members with which a client tries out what happens on a failure.
const MOCK_TESTING: &[&str] = &[
    "mock_testing_rate_limit_error",
    "mock_testing_context_fallbacks",
    "mock_testing_content_policy_fallbacks",
    "mock_testing_fallbacks",
];
/// Members that no client may send.
const NEVER: &[&str] = &["success_callback", "failure_callback", "callbacks"];

/// Whether a member of this name is the gateway's own.
pub(crate) fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
}

/// What a request says to the gateway itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallOptions {
    /// About its parameters.
    pub(crate) params: CallParams,
    /// How long a whole answer may take, or the next byte of a stream.
    pub(crate) timeout: Option<Duration>,
    /// The same for streams.
    pub(crate) stream_timeout: Option<Duration>,
    /// How often a failed attempt is repeated.
    pub(crate) num_retries: Option<u64>,
    /// The answer to give without asking anyone.
    pub(crate) mock_response: Option<Value>,
    /// The failure to give without asking anyone.
    pub(crate) mock_testing: Option<&'static str>,
    /// The failure to give after the call's own timeout.
    pub(crate) mock_timeout: bool,
    /// How long a mocked answer takes.
    pub(crate) mock_delay: Duration,
    /// Who answers when the group does not.
    pub(crate) fallbacks: OwnFallbacks,
    /// For whom it is made.
    pub(crate) customer: Option<String>,
    /// What deployments are chosen by.
    pub(crate) tags: Vec<String>,
    /// Where its deployment must be.
    pub(crate) region: Option<String>,
    /// What the call belongs to.
    pub(crate) session: Option<String>,
    /// The call's id, where the client gave one.
    pub(crate) call_id: Option<String>,
    /// Where the client wants the call to go.
    pub(crate) client_side: ClientSide,
    /// It only sees whether a deployment answers, and says nothing to routing by itself.
    pub(crate) is_check: bool,
}

impl CallOptions {
    /// The failure that the request itself asks for (`mock_testing_…`), in `LiteLLM`'s words: a rate limit in every group, the
    /// others in the first.
    pub(crate) fn mock_failure(&self, plan: &Plan<'_>) -> Option<Failure> {
        let name = self.mock_testing.filter(|_| plan.is_fresh())?;
        let group = plan.group()?.label();
        if name == "mock_testing_rate_limit_error" {
            let words = format!("This is a mock exception for model={group}, to trigger a rate limit error.");
            return Some(Failure::new(FailureKind::RateLimited, words));
        }
        if plan.fallbacks() > 0 {
            return None;
        }
        let rules = plan.rules();
        let shown = |list: Option<&FallbackList>| list.map_or_else(|| "None".to_owned(), FallbackList::shown);
        let (kind, list) = match name {
            "mock_testing_context_fallbacks" => {
                let list = shown(rules.context_window.as_ref());
                (FailureKind::ContextWindowExceeded, format!("Context_Window_Fallbacks={list}"))
            }
            "mock_testing_content_policy_fallbacks" => {
                let list = shown(rules.content_policy.as_ref());
                (FailureKind::ContentPolicyViolation, format!("Content_Policy_Fallbacks={list}"))
            }
            _ => (FailureKind::Internal, format!("Fallbacks={}", rules.general.shown())),
        };
        let words = format!("This is a mock exception for model={group}, to trigger a fallback. {list}");
        Some(Failure::new(kind, words))
    }
}

impl CallOptions {
    /// Tags that whoever sends the request adds to its own.
    pub(crate) fn add_tags(&mut self, more: &[String]) {
        for tag in more {
            if !self.tags.contains(tag) {
                self.tags.push(tag.clone());
            }
        }
    }
}

/// What the client says about where its call goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientSide {
    pub(crate) api_base: Option<String>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) api_version: Option<String>,
    /// The names that were sent, for the check and the refusal.
    pub(crate) names: Vec<&'static str>,
}

/// Reads the options and takes them out of the body.
///
/// # Errors
/// 400 for a member of a wrong type, or one that no client may send.
pub(crate) fn take(body: &mut RawBody, headers: &HeaderMap, route: Route) -> Result<CallOptions, Failure> {
    if let Some(name) = NEVER.iter().find(|name| body.has(name)) {
        return Err(Failure::invalid(format!("`{name}` cannot be set by a request")).with_param(*name));
    }
    let text = |name: &str| body.typed::<String>(name);
    let mut options = CallOptions {
        params: CallParams {
            drop_params: body.typed("drop_params"),
            additional_drop_params: body.typed("additional_drop_params").unwrap_or_default(),
            allowed_openai_params: body.typed("allowed_openai_params").unwrap_or_default(),
            extra_headers: extra_headers(body)?,
            // Of Anthropic's clients it names their user, which is nobody else's to know.
            metadata: (route != Route::Messages).then(|| body.typed("metadata")).flatten().unwrap_or_default(),
        },
        timeout: seconds(body, "timeout")?.or(seconds(body, "request_timeout")?),
        stream_timeout: seconds(body, "stream_timeout")?,
        num_retries: whole(body, "num_retries")?,
        mock_response: body.typed("mock_response"),
        mock_testing: MOCK_TESTING.iter().copied().find(|name| body.typed(name) == Some(true)),
        mock_timeout: body.typed("mock_timeout").unwrap_or_default(),
        mock_delay: seconds(body, "mock_delay")?.unwrap_or_default(),
        fallbacks: OwnFallbacks::read(body)?,
        customer: None,
        tags: tags(body, headers),
        region: region(body)?,
        session: text("litellm_session_id").or_else(|| in_metadata(body, "session_id")?.as_str().map(str::to_owned)),
        call_id: text("litellm_call_id"),
        client_side: ClientSide {
            api_base: text("api_base").or_else(|| text("base_url")),
            api_key: text("api_key").map(Secret::new),
            api_version: text("api_version"),
            names: CLIENT_SIDE.iter().copied().filter(|name| body.has(name)).collect(),
        },
        is_check: false,
    };
    if options.client_side.api_key.as_ref().is_some_and(|key| key.expose().trim_start().starts_with('{')) {
        // Service keys name addresses (SAP, Google), which is not what may be chosen where a key may.
        return Err(
            Failure::invalid("`api_key` of a request must be a plain key, not a document").with_param("api_key")
        );
    }
    from_headers(&mut options, headers)?;
    // Anthropic's clients say there who their user is.
    let theirs = |name: &str| name == "metadata" && route == Route::Messages;
    body.retain(|name| !OURS.contains(&name) || theirs(name));
    Ok(options)
}

fn from_headers(options: &mut CallOptions, headers: &HeaderMap) -> Result<(), Failure> {
    let number = |name: &str| -> Result<Option<f64>, Failure> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let parsed = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
        parsed
            .filter(|number| number.is_finite() && *number >= 0.0)
            .map(Some)
            .ok_or_else(|| Failure::invalid(format!("the header `{name}` must be a number that is not negative")))
    };
    if let Some(limit) = number("x-litellm-timeout")? {
        options.timeout = Some(bounded(limit));
    }
    if let Some(limit) = number("x-litellm-stream-timeout")? {
        options.stream_timeout = Some(bounded(limit));
    }
    if let Some(retries) = number("x-litellm-num-retries")? {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a small range")]
        let retries = retries.min(100.0) as u64;
        options.num_retries = Some(retries);
    }
    if let Some(session) = headers.get("x-litellm-session-id").and_then(|value| value.to_str().ok()) {
        options.session = Some(session.to_owned());
    }
    if let Some(id) = headers.get("x-litellm-call-id").and_then(|value| value.to_str().ok()) {
        options.call_id = Some(id.to_owned());
    }
    options.call_id = options.call_id.take().filter(|id| {
        // It goes into headers and log lines.
        !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic())
    });
    Ok(())
}

/// `allowed_model_region`: a demand that is not understood must not be passed over.
fn region(body: &RawBody) -> Result<Option<String>, Failure> {
    match body.typed::<Value>("allowed_model_region") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(region)) if matches!(region.as_str(), "eu" | "us") => Ok(Some(region)),
        Some(_) => {
            Err(Failure::invalid("`allowed_model_region` must be \"eu\" or \"us\"").with_param("allowed_model_region"))
        }
    }
}

/// Most tags of one request that are read.
const MOST_TAGS: usize = 64;

/// `metadata.tags`, `tags` and the header `x-litellm-tags` together (surface chapter 6.8).
fn tags(body: &RawBody, headers: &HeaderMap) -> Vec<String> {
    let listed = |value: Option<Value>| -> Vec<String> {
        let items = value.as_ref().and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let mut tags = listed(in_metadata(body, "tags"));
    tags.extend(listed(body.typed("tags")));
    let named = headers.get("x-litellm-tags").and_then(|value| value.to_str().ok()).unwrap_or_default();
    tags.extend(named.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned));
    tags.truncate(MOST_TAGS);
    tags
}

/// A member of `metadata`, or of what stands for it where that is the provider's.
fn in_metadata(body: &RawBody, name: &str) -> Option<Value> {
    let within = |holder: &str| body.typed::<serde_json::Map<String, Value>>(holder)?.remove(name);
    within("litellm_metadata").or_else(|| within("metadata"))
}

/// Longest time that a request may ask for: a day.
const LONGEST: f64 = 86_400.0;

fn bounded(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.001, LONGEST))
}

fn seconds(body: &RawBody, name: &str) -> Result<Option<Duration>, Failure> {
    let Some(value) = body.typed::<Value>(name) else { return Ok(None) };
    let number =
        value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite());
    match number {
        Some(number) if number >= 0.0 => Ok(Some(bounded(number))),
        _ => {
            Err(Failure::invalid(format!("`{name}` must be a number of seconds that is not negative")).with_param(name))
        }
    }
}

fn whole(body: &RawBody, name: &str) -> Result<Option<u64>, Failure> {
    if !body.has(name) {
        return Ok(None);
    }
    match body.typed::<u64>(name) {
        Some(number) => Ok(Some(number.min(100))),
        None => Err(Failure::invalid(format!("`{name}` must be a whole number that is not negative")).with_param(name)),
    }
}

/// The request's own headers for the provider, but for those that a client does not answer for.
fn extra_headers(body: &RawBody) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let Some(Value::Object(members)) = body.typed::<Value>("extra_headers") else { return Ok(Vec::new()) };
    let wrong =
        |name: &str, what: &str| Failure::invalid(format!("extra_headers.{name} {what}")).with_param("extra_headers");
    members
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let key = HeaderName::try_from(name.as_str()).map_err(|_| wrong(name, "is no name of a header"))?;
            if stays_here(&key) {
                return Err(wrong(name, "cannot be set by a request"));
            }
            Ok((key, HeaderValue::try_from(text).map_err(|_| wrong(name, "is no value of a header"))?))
        })
        .collect()
}

//! What Bedrock and `SageMaker` share: region and account out of the settings, names in paths, refusals.

use std::sync::Arc;

use serde_json::Value;
use tollgate_wire::{Failure, FailureKind, framing::Frame, http::Reply};

use crate::{
    auth::{Account, AwsAccount},
    dialects::openai,
    locate::Site,
    resolve::Unservable,
    target::{Credential, Target},
};

/// Where calls go if nobody names a region; `LiteLLM`'s choice.
const DEFAULT_REGION: &str = "us-west-2";
/// Longest name of a region, bytes. The longest in use has 16 (`us-isob-east-1` and its like).
const LONGEST_REGION: usize = 32;
/// Longest body of a refusal that is told in full, bytes.
const LONGEST_BODY: usize = 4000;

/// Whether this may stand in a host's name as a region. Part of a model's name can come from the client, and a word such as
/// `evil.example/` would send our account's signature there.
pub(super) fn is_region(word: &str) -> bool {
    (1..=LONGEST_REGION).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The region: as configured, else as the model's name says, else as the environment says.
///
/// # Errors
/// When it is no region's name.
pub(super) fn region(site: &Site<'_>, named: Option<&str>) -> Result<String, Unservable> {
    let own = site.text("aws_region_name", &[]).or_else(|| site.text("region_name", &[]));
    let env = || site.env(&["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"]);
    let region = own.or_else(|| named.map(str::to_owned)).or_else(env).unwrap_or_else(|| DEFAULT_REGION.to_owned());
    if is_region(&region) {
        return Ok(region);
    }
    let words = "the AWS region has letters that no region has; set aws_region_name to a name such as us-east-1";
    Err(Unservable::Missing(words.to_owned()))
}

/// The host of a service in a region; China has a domain of its own.
pub(super) fn host(service: &str, region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{service}.{region}.{domain}")
}

/// The account that requests are signed with; `None` where a key travels as a bearer token instead.
///
/// # Errors
/// When half of a pair of keys is missing.
pub(super) fn account(
    site: &Site<'_>,
    region: &str,
    key_env: &'static [&'static str],
) -> Result<Option<Credential>, Unservable> {
    if site.settings.api_key.is_some() {
        return Ok(None);
    }
    let own = |name: &str| site.text(name, &[]);
    let says_how = ["aws_access_key_id", "aws_profile_name", "aws_role_name", "aws_web_identity_token"];
    if !says_how.iter().any(|name| own(name).is_some()) && site.env(key_env).is_some() {
        return Ok(None);
    }
    let mut account = AwsAccount {
        access_key_id: site.secret("aws_access_key_id", &[]),
        secret_access_key: site.secret("aws_secret_access_key", &[]),
        session_token: site.secret("aws_session_token", &[]),
        region: region.to_owned(),
        profile_name: site.text("aws_profile_name", &["AWS_PROFILE_NAME"]),
        role_name: site.text("aws_role_name", &["AWS_ROLE_NAME"]),
        session_name: site.text("aws_session_name", &["AWS_SESSION_NAME"]),
        external_id: site.text("aws_external_id", &["AWS_EXTERNAL_ID"]),
        web_identity_token: site.secret("aws_web_identity_token", &["AWS_WEB_IDENTITY_TOKEN"]),
        sts_endpoint: site.text("aws_sts_endpoint", &["AWS_STS_ENDPOINT"]),
    };
    let missing = |there: &str, lacks: &str| Unservable::Missing(format!("{there} is given without {lacks}; set both"));
    match (&account.access_key_id, &account.secret_access_key) {
        (Some(_), None) => return Err(missing("aws_access_key_id", "aws_secret_access_key")),
        (None, Some(_)) => return Err(missing("aws_secret_access_key", "aws_access_key_id")),
        _ => {}
    }
    let nothing_said =
        account.access_key_id.is_none() && account.profile_name.is_none() && account.web_identity_token.is_none();
    if nothing_said {
        // A set that belongs together: a session token of the environment must not join configured keys.
        account.access_key_id = site.secret("", &["AWS_ACCESS_KEY_ID"]);
        account.secret_access_key = site.secret("", &["AWS_SECRET_ACCESS_KEY"]);
        account.session_token = site.secret("", &["AWS_SESSION_TOKEN"]);
    }
    if let Some(reference) =
        account.web_identity_token.as_ref().and_then(|token| token.expose().strip_prefix("oidc/env/"))
    {
        let token = site.env(&[reference]).map(tollgate_wire::Secret::new);
        let words = || Unservable::Missing(format!("aws_web_identity_token names {reference}; set that variable"));
        account.web_identity_token = Some(token.ok_or_else(words)?);
    }
    Ok(Some(Credential::Account(Arc::new(Account::Aws(account)))))
}

/// How these services say that the prompt is too long, beside the words that all providers use.
const CONTEXT_WINDOW: &[&str] = &["too many input tokens", "exceed context limit", "maximum number of input tokens"];

/// A refusal (status 400 and above). The client is told the whole body, as `LiteLLM` does.
pub(super) fn failure(reply: &Reply, target: &Target) -> Failure {
    let mut failure = openai::failure(reply, target);
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let member = |name: &str| body.as_ref().and_then(|body| body.get(name));
    let header = reply.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let code = header.or_else(|| member("__type").and_then(Value::as_str)).unwrap_or_default();
    // `ThrottlingException:http://internal…/`, `com.amazonaws.bedrock#ThrottlingException`.
    let code = code.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default();
    let text = String::from_utf8_lossy(&reply.body).to_ascii_lowercase();
    let kind = match code {
        _ if failure.kind == FailureKind::ContextWindowExceeded => failure.kind,
        _ if reply.status.as_u16() != 429 && CONTEXT_WINDOW.iter().any(|words| text.contains(words)) => {
            FailureKind::ContextWindowExceeded
        }
        "ThrottlingException" | "TooManyRequestsException" | "ServiceQuotaExceededException" => {
            FailureKind::RateLimited
        }
        "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException" => FailureKind::Authentication,
        "ModelNotReadyException" => FailureKind::ServiceUnavailable,
        _ if member("OriginalStatusCode").and_then(Value::as_u64).is_some_and(|status| status >= 500) => {
            FailureKind::ServiceUnavailable
        }
        _ => failure.kind,
    };
    if kind != failure.kind {
        failure.kind = kind;
        failure.status = None;
    }
    if text.starts_with('{') && reply.body.len() <= LONGEST_BODY {
        failure.message = String::from_utf8_lossy(&reply.body).into_owned();
    }
    if kind == FailureKind::ContextWindowExceeded {
        // LiteLLM's words, which clients look for.
        failure.message.insert_str(0, "Context Window Error - ");
    }
    failure
}

/// A failure that came as a message of a stream which began with status 200.
pub(super) fn exception(frame: &Frame<'_>, target: &Target) -> Failure {
    let text = String::from_utf8_lossy(&frame.data).into_owned();
    let body: Value = serde_json::from_slice(&frame.data).unwrap_or_default();
    let low = text.to_ascii_lowercase();
    let name = frame.event.as_deref().unwrap_or_default();
    let status = body.get("originalStatusCode").and_then(Value::as_u64);
    let kind = match name.to_ascii_lowercase().as_str() {
        "throttlingexception" => FailureKind::RateLimited,
        "validationexception" => {
            let status = http::StatusCode::BAD_REQUEST;
            let too_long = CONTEXT_WINDOW.iter().any(|words| low.contains(words));
            if too_long { FailureKind::ContextWindowExceeded } else { openai::kind_of(status, &low, "") }
        }
        "modeltimeoutexception" => FailureKind::Timeout,
        "serviceunavailableexception" => FailureKind::ServiceUnavailable,
        "accessdeniedexception" => FailureKind::PermissionDenied,
        "modelstreamerrorexception" | "modelstreamerror" if status == Some(429) => FailureKind::RateLimited,
        _ => FailureKind::Internal,
    };
    // LiteLLM's words, which clients look for.
    let before = if kind == FailureKind::RateLimited { "Rate Limit Error - " } else { "" };
    target.failure(kind, format!("{before}{name} {text}"))
}

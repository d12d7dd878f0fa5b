//! How providers say no.

use serde_json::{Value, json};

use crate::answer::Answer;

/// Whose words an error is said in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    OpenAi,
    Anthropic,
}

/// A call that is refused, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: Option<&'static str>,
    message: String,
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, code: None, message: message.into() }
    }

    pub(super) fn missing(field: &str) -> Self {
        Self::invalid(format!("you must provide a {field} parameter"))
    }

    pub(super) fn wrong_key() -> Self {
        Self { status: 401, code: Some("invalid_api_key"), message: "Incorrect API key provided.".to_owned() }
    }

    pub(super) fn unknown_path(method: &str, path: &str) -> Self {
        Self { status: 404, code: None, message: format!("Invalid URL ({method} {path})") }
    }

    pub(super) fn unknown_model(model: &str) -> Self {
        let message = format!("The model '{model}' does not exist");
        Self { status: 404, code: Some("model_not_found"), message }
    }

    /// What a model called `fail-<kind>` answers.
    pub(super) fn named(kind: &str) -> Self {
        match kind {
            "context" => Self {
                status: 400,
                code: Some("context_length_exceeded"),
                message: "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length of the messages.".to_owned(),
            },
            "content" => Self {
                status: 400,
                code: Some("content_policy_violation"),
                message: "Your request was rejected as a result of our safety system.".to_owned(),
            },
            _ => {
                let status = kind.parse().unwrap_or(500);
                let code = (status == 429).then_some("rate_limit_exceeded");
                Self { status, code, message: format!("the fake provider was asked to fail with {status}") }
            }
        }
    }

    pub(super) fn answer(&self, family: Family) -> Answer {
        let document = match family {
            Family::OpenAi => self.for_openai(),
            Family::Anthropic => self.for_anthropic(),
        };
        let answer = Answer::json(self.status, document);
        if self.status == 429 { answer.header("retry-after", "1") } else { answer }
    }

    fn for_openai(&self) -> Value {
        let kind = match self.status {
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {"message": self.message, "type": kind, "param": null, "code": self.code}})
    }

    fn for_anthropic(&self) -> Value {
        let kind = match self.status {
            400 | 422 => "invalid_request_error",
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        let message = match self.code {
            Some("context_length_exceeded") => "prompt is too long: 210000 tokens > 200000 maximum",
            Some("invalid_api_key") => "invalid x-api-key",
            _ => &self.message,
        };
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"})
    }
}

//! What can go wrong with a call, as one table: every dialect's errors map into it, every client dialect writes from it.

use std::time::Duration;

use serde_json::Value;

/// Whose fault a failure is; decides health, retries and who is told what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The caller's: never retried, never counted against a deployment.
    Client,
    /// Ours, or of our configuration.
    Gateway,
    /// The provider's, or of the way to it.
    Provider,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $class:literal, $status:literal, $blame:ident, $retry:literal, $kind_type:literal;)*) => {
        /// The kinds of failure. The columns of the table: `LiteLLM`'s class name (as clients grep for it), HTTP status,
        /// blame, whether another attempt may help, and `error.type`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FailureKind { $($(#[$doc])* $kind,)* }

        impl FailureKind {
            /// Every kind, for tests and generated documentation.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// `LiteLLM`'s class name, e.g. `RateLimitError`; empty for the gateway's own refusals.
            #[must_use]
            pub const fn class(self) -> &'static str { match self { $(Self::$kind => $class,)* } }

            /// The HTTP status that a client sees, unless the failure carries the provider's own.
            #[must_use]
            pub const fn status(self) -> u16 { match self { $(Self::$kind => $status,)* } }

            /// Whose fault this kind is.
            #[must_use]
            pub const fn blame(self) -> Blame { match self { $(Self::$kind => Blame::$blame,)* } }

            /// Another attempt, here or elsewhere, may succeed.
            #[must_use]
            pub const fn retryable(self) -> bool { match self { $(Self::$kind => $retry,)* } }

            /// The client's `error.type`.
            #[must_use]
            pub const fn error_type(self) -> &'static str { match self { $(Self::$kind => $kind_type,)* } }
        }
    };
}

kinds! {
    // What providers say.
    /// The provider refused the request as malformed.
    BadRequest: "BadRequestError", 400, Client, false, "invalid_request_error";
    /// A parameter that the target does not take, and `drop_params` is off.
    UnsupportedParams: "UnsupportedParamsError", 400, Client, false, "invalid_request_error";
    /// The prompt does not fit the model's window.
    ContextWindowExceeded: "ContextWindowExceededError", 400, Client, false, "invalid_request_error";
    /// The provider's safety system refused.
    ContentPolicyViolation: "ContentPolicyViolationError", 400, Client, false, "invalid_request_error";
    /// The provider did not accept our key.
    Authentication: "AuthenticationError", 401, Provider, false, "authentication_error";
    /// The provider wants to be paid first.
    PaymentRequired: "PaymentRequiredError", 402, Provider, false, "payment_required_error";
    /// Our key may not do this at the provider.
    PermissionDenied: "PermissionDeniedError", 403, Provider, false, "permission_error";
    /// The provider does not know the model or the path.
    NotFound: "NotFoundError", 404, Provider, false, "invalid_request_error";
    /// The provider did not answer in time.
    Timeout: "Timeout", 408, Provider, true, "timeout_error";
    /// The provider understood but cannot process the request.
    Unprocessable: "BadRequestError", 422, Client, false, "invalid_request_error";
    /// The provider's rate limit or quota.
    RateLimited: "RateLimitError", 429, Provider, true, "throttling_error";
    /// The provider failed inside.
    Internal: "InternalServerError", 500, Provider, true, "internal_server_error";
    /// No connection, or it broke.
    Connection: "APIConnectionError", 500, Provider, true, "internal_server_error";
    /// Any other status of the provider.
    Api: "APIError", 500, Provider, true, "api_error";
    /// A proxy before the provider failed.
    BadGateway: "BadGatewayError", 502, Provider, true, "internal_server_error";
    /// The provider is overloaded or down.
    ServiceUnavailable: "ServiceUnavailableError", 503, Provider, true, "internal_server_error";
    /// The provider answered 200 with something that is not an answer.
    InvalidResponse: "InternalServerError", 500, Provider, true, "internal_server_error";

    // What the gateway itself refuses.
    /// The body or a parameter is wrong.
    InvalidRequest: "", 400, Client, false, "invalid_request_error";
    /// No such model here.
    UnknownModel: "", 400, Client, false, "invalid_request_error";
    /// No key, a malformed key, or a key we do not know.
    InvalidKey: "", 401, Client, false, "auth_error";
    /// The key may not use this model.
    ModelAccessDenied: "", 403, Client, false, "key_model_access_denied";
    /// The key may not use this route.
    RouteDenied: "", 403, Client, false, "auth_error";
    /// The money is spent.
    BudgetExceeded: "", 400, Client, false, "budget_exceeded";
    /// A limit of the key, user, team … is reached.
    LimitExceeded: "", 429, Client, false, "rate_limit_error";
    /// Every deployment of the group is resting or full.
    NoDeployment: "", 429, Gateway, false, "rate_limit_error";
    /// The deployment cannot be served as configured (unknown provider, missing key).
    Misconfigured: "", 500, Gateway, false, "configuration_error";
    /// No such path.
    RouteNotFound: "", 404, Client, false, "invalid_request_error";
    /// The path exists, the method does not.
    MethodNotAllowed: "", 405, Client, false, "invalid_request_error";
    /// The client did not finish its request in time.
    RequestTimeout: "", 408, Client, false, "invalid_request_error";
    /// The body is over the bound.
    TooLarge: "", 413, Client, false, "invalid_request_error";
    /// The headers or the URL are over the bound.
    HeadersTooLarge: "", 431, Client, false, "invalid_request_error";
    /// A feature that Tollgate does not build, or not yet.
    NotBuilt: "", 501, Gateway, false, "not_implemented_error";
    /// The gateway itself is full or shutting down.
    Overloaded: "", 503, Gateway, false, "internal_server_error";
    /// The gateway was asked to call itself.
    SelfCall: "", 508, Gateway, false, "configuration_error";
    /// A case we believed impossible.
    Bug: "", 500, Gateway, false, "internal_server_error";
}

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident: $text:literal;)*) => {
        /// `error.type` where one kind has several, as `LiteLLM`'s clients tell them apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorType { $($(#[$doc])* $name,)* }

        impl ErrorType {
            /// As clients see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $text,)* } }
        }
    };
}

types! {
    /// The key has ended.
    ExpiredKey: "expired_key";
    /// The key is not known.
    UnknownKey: "token_not_found_in_db";
    /// The team may not use the model.
    TeamModelDenied: "team_model_access_denied";
    /// The user may not use the model.
    UserModelDenied: "user_model_access_denied";
    /// The organisation may not use the model.
    OrganizationModelDenied: "org_model_access_denied";
    /// The project may not use the model.
    ProjectModelDenied: "project_model_access_denied";
    /// Something that was named is not there.
    NotFound: "not_found_error";
    /// The request is well-formed, and does not go with what there is.
    BadRequest: "bad_request_error";
}

/// The only error that a client can see.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The row of the table.
    pub kind: FailureKind,
    /// What the client is told; no secret, no internals.
    pub message: String,
    /// More, for the log only.
    pub detail: Option<String>,
    /// The request parameter at fault.
    pub param: Option<String>,
    /// The provider's own status where it differs from the kind's.
    pub status: Option<u16>,
    /// When to come back.
    pub retry_after: Option<Duration>,
    /// Whose words these are: `OpenAI`, `Azure` …; becomes `<Provider>Exception`.
    pub provider: Option<&'static str>,
    /// What the attempt asked for is being made, and paid: another attempt would pay for it again.
    pub is_paid: bool,
    /// Whatever else the provider said, for `error.provider_specific_fields`.
    pub provider_fields: Option<Box<Value>>,
    /// `error.type` where one kind has several.
    pub own_type: Option<ErrorType>,
}

impl Failure {
    /// A failure of `kind` that tells the client `message`.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            detail: None,
            param: None,
            status: None,
            retry_after: None,
            provider: None,
            is_paid: false,
            provider_fields: None,
            own_type: None,
        }
    }

    /// The request itself is wrong.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(FailureKind::InvalidRequest, message)
    }

    /// A case we believed impossible: logged and counted, the client learns that it is our fault.
    #[must_use]
    pub fn bug(detail: impl Into<String>) -> Self {
        let mut failure = Self::new(FailureKind::Bug, "an internal error of the gateway; it has been logged");
        failure.detail = Some(detail.into());
        failure
    }

    /// Names the request parameter at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds what only the log may see.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says whose words the message is.
    #[must_use]
    pub fn from_provider(mut self, provider: &'static str) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Says that no other attempt may be made, as this one is paid.
    #[must_use]
    pub fn paid(mut self) -> Self {
        self.is_paid = true;
        self
    }

    /// Says the client's `error.type`, where it is not the kind's.
    #[must_use]
    pub fn with_type(mut self, own_type: ErrorType) -> Self {
        self.own_type = Some(own_type);
        self
    }

    /// The client's `error.type`.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        self.own_type.map_or(self.kind.error_type(), ErrorType::as_str)
    }

    /// The HTTP status that the client sees.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.status.unwrap_or(self.kind.status())
    }

    /// The client's message: `litellm.<Class>: <Provider>Exception - <words>` for a provider's failure, as the seeds
    /// show it (decision 8), the bare words for the gateway's own.
    #[must_use]
    pub fn client_message(&self) -> String {
        let class = self.kind.class();
        match (class, self.provider) {
            ("", _) => self.message.clone(),
            // LiteLLM names the parent class with these two, in either order; clients grep for either class.
            ("ContextWindowExceededError", Some(provider)) => {
                format!("litellm.{class}: litellm.BadRequestError: {provider}Exception - {}", self.message)
            }
            ("ContentPolicyViolationError", Some(provider)) => {
                format!("litellm.BadRequestError: litellm.{class}: {provider}Exception - {}", self.message)
            }
            (_, Some(provider)) => format!("litellm.{class}: {provider}Exception - {}", self.message),
            (_, None) => format!("litellm.{class}: {}", self.message),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.client_message())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_an_error_status_and_a_type() {
        for kind in FailureKind::ALL {
            assert!((400..600).contains(&kind.status()), "{kind:?}");
            assert!(!kind.error_type().is_empty(), "{kind:?}");
        }
    }

    #[test]
    fn what_the_client_caused_is_never_retried() {
        for kind in FailureKind::ALL {
            assert!(!(kind.blame() == Blame::Client && kind.retryable()), "{kind:?}");
        }
    }

    #[test]
    fn a_provider_failure_reads_as_the_seeds_show_it() {
        let failure = Failure::new(FailureKind::RateLimited, "slow down").from_provider("OpenAI");
        assert_eq!(failure.client_message(), "litellm.RateLimitError: OpenAIException - slow down");
    }
}

//! `litellm_params`: where the calls of a deployment go and with what.

use super::Kind::Choice;
use super::{
    Any, Family, Flag, Group, List, Map, Number, Seconds, Secret, Section, State, Text, TextMap, Texts, Unknown, Whole,
    key, later, ours,
    prices::{PRICE_TABLES, PRICES},
    used,
};

/// How the wire notices a client that left (decision 29).
pub(crate) const DISCONNECT: &[&str] = &["cancel", "drain"];

/// `litellm_params`.
pub(crate) static PARAMS: Section = Section {
    name: "model_list[].litellm_params",
    about: "A key that is not listed (`temperature`, `max_tokens`, `stop`, …) is a default for the provider call.",
    unknown: Unknown::Keep,
    keys: &[
        used("model", Text, "", "`<provider>/<model>`, or a name that the catalog knows."),
        used("custom_llm_provider", Text, "", "The provider, if `model` does not say it."),
        used("api_base", Text, "the provider's", "Address of the provider. A trailing slash does not matter."),
        used("base_url", Text, "", "The same as `api_base`."),
        used("api_key", Secret, "the provider's variable", "Key at the provider."),
        used("api_version", Text, "", "Version of the provider's API (Azure)."),
        used("organization", Text, "", "OpenAI organization."),
        used("headers", TextMap, "", "Headers for the provider call."),
        used("extra_headers", TextMap, "", "More of them; these win."),
        used("extra_body", Map, "", "Members added to the body of the provider call."),
        used("region_name", Text, "", "Region, where the provider has them."),
        used("rpm", Whole, "", "Requests a minute: weight for picking, and limit."),
        used("tpm", Whole, "", "Tokens a minute: weight for picking, and limit."),
        later("itpm", Whole, "", "Input tokens a minute."),
        later("otpm", Whole, "", "Output tokens a minute."),
        used("weight", Number, "", "Weight for picking."),
        used("order", Whole, "", "Lower ones are tried first."),
        used("max_parallel_requests", Whole, "", "Calls at one time."),
        later("default_api_key_rpm_limit", Whole, "", "Requests a minute of a key that says nothing itself."),
        later("default_api_key_tpm_limit", Whole, "", "Tokens a minute of a key that says nothing itself."),
        used(
            "max_budget",
            Number,
            "",
            "USD that this deployment may cost per `budget_duration`; then it gets no calls.",
        ),
        used("budget_duration", Seconds, "for good", "Window of `max_budget`."),
        later("max_file_size_mb", Number, "", "Largest file."),
        used("timeout", Seconds, "600", "For a whole call."),
        used("stream_timeout", Seconds, "`timeout`", "For the first event of a stream."),
        used("request_timeout", Seconds, "", "The same as `timeout`, which wins."),
        used("max_retries", Whole, "", "The same as `num_retries`, which wins."),
        used("num_retries", Whole, "", "Retries of a call; counts where the group has this one deployment."),
        used("cooldown_time", Seconds, "", "Rest after failures."),
        later("timeout_by_service_tier", Map, "", "`timeout` per service tier."),
        later("stream_timeout_by_service_tier", Map, "", "`stream_timeout` per service tier."),
        later("keepalive_seconds", Seconds, "", "Keep-alive of the connection."),
        used("drop_params", Flag, "`litellm_settings`", "Drop parameters that the provider does not take."),
        used("additional_drop_params", Texts, "", "Parameters to drop always."),
        used("allowed_openai_params", Texts, "", "Parameters to pass always."),
        used("mock_response", Any, "", "Answer with this and call nobody."),
        used("tags", Texts, "", "For tag routing; `default` is special."),
        later("tag_regex", Texts, "", "Patterns for tag routing."),
        used(
            "merge_reasoning_content_in_choices",
            Flag,
            "false",
            "Put reasoning into `content` between `<think>` tags.",
        ),
        later("use_chat_completions_api", Flag, "false", "Serve `/responses` by chat completions."),
        later("use_litellm_proxy", Flag, "false", "The provider is another gateway of this kind."),
        used("litellm_credential_name", Text, "", "An entry of `credential_list`."),
        used(
            "configurable_clientside_auth_params",
            List,
            "",
            "What a request may bring itself: names, or `{api_base: pattern}`.",
        ),
        later("use_in_pass_through", Flag, "false", "Credentials for pass-through routes."),
        later("cache_control_injection_points", List, "", "Where to mark prompts for caching."),
        later("fallbacks", List, "", "Fallbacks of this deployment."),
        later("guardrails", List, "", "Guards of this deployment."),
        ours(
            "client_disconnect",
            Choice(DISCONNECT),
            "by kind of call",
            "When the client leaves: `cancel` the provider call, or `drain` it.",
        ),
        used("initial_prompt_value", Text, "", "Prompt template: what the prompt begins with."),
        used("roles", Map, "", "Prompt template: `{role: {pre_message, post_message}}`."),
        used("final_prompt_value", Text, "", "Prompt template: what the prompt ends with."),
        used("bos_token", Text, "", "Prompt template: begin of sequence."),
        used("eos_token", Text, "", "Prompt template: end of sequence."),
        used("hf_model_name", Text, "", "Model whose template to use."),
        used("azure_ad_token", Secret, "", "Azure: a token in place of a key."),
        used("tenant_id", Text, "", "Azure: tenant."),
        used("client_id", Text, "", "Azure: client."),
        used("client_secret", Secret, "", "Azure: secret of the client."),
        used("azure_username", Text, "", "Azure: user."),
        used("azure_password", Secret, "", "Azure: password."),
        used("azure_scope", Text, "", "Azure: scope of the token."),
        key("model_info", Any, State::Without, "Belongs beside `litellm_params`, not into it."),
    ],
    groups: &[&PRICES, &PRICE_TABLES, &AWS_SECRETS, &AWS, &CLOUD_SECRETS, &CLOUD, &IBM_SECRETS, &IBM],
    families: &[
        Family { prefix: "aws_", suffix: "", kind: Any, state: State::Later, about: "AWS." },
        Family {
            prefix: "vertex_",
            suffix: "",
            kind: Any,
            state: State::Used,
            about: "Google Vertex AI: `vertex_project`, `vertex_location`, `vertex_credentials` (text, map or path).",
        },
        Family { prefix: "auto_router_", suffix: "", kind: Any, state: State::Later, about: "Router by content." },
        Family {
            prefix: "complexity_router_",
            suffix: "",
            kind: Any,
            state: State::Later,
            about: "Router by content.",
        },
        Family { prefix: "adaptive_router_", suffix: "", kind: Any, state: State::Later, about: "Router by content." },
        Family { prefix: "quality_router_", suffix: "", kind: Any, state: State::Later, about: "Router by content." },
        Family {
            prefix: "anthropic_",
            suffix: "",
            kind: Any,
            state: State::Later,
            about: "Anthropic workload identity.",
        },
        Family {
            prefix: "openai_identity_",
            suffix: "",
            kind: Any,
            state: State::Later,
            about: "OpenAI workload identity.",
        },
    ],
};

/// Keys and tokens of AWS.
pub(crate) static AWS_SECRETS: Group = Group {
    names: &["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_web_identity_token"],
    kind: Secret,
    state: State::Used,
    about: "AWS credentials; without them AWS's own chain (environment, files, container, instance).",
};

/// Where AWS is, and as whom.
pub(crate) static AWS: Group = Group {
    names: &[
        "aws_region_name",
        "aws_profile_name",
        "aws_role_name",
        "aws_session_name",
        "aws_external_id",
        "aws_sts_endpoint",
        "aws_bedrock_runtime_endpoint",
    ],
    kind: Text,
    state: State::Used,
    about: "AWS: region, profile, role to take on, addresses of STS and Bedrock.",
};

/// Cloud credentials that are secret.
pub(crate) static CLOUD_SECRETS: Group = Group {
    names: &["s3_access_key_id", "s3_secret_access_key"],
    kind: Secret,
    state: State::Later,
    about: "Cloud credentials.",
};

/// Cloud settings that are no secret.
pub(crate) static CLOUD: Group = Group {
    names: &[
        "aws_bedrock_project_id",
        "aws_batch_role_arn",
        "gcs_bucket_name",
        "bucket_name",
        "s3_bucket_name",
        "s3_region_name",
        "s3_endpoint_url",
        "s3_encryption_key_id",
        "s3_output_bucket_name",
        "s3_bucket_owner",
    ],
    kind: Text,
    state: State::Later,
    about: "Cloud settings.",
};

/// Credentials of watsonx that are no API key.
pub(crate) static IBM_SECRETS: Group = Group {
    names: &["token", "zen_api_key"],
    kind: Secret,
    state: State::Used,
    about: "watsonx: a token, or the key of an own installation.",
};

/// Settings of watsonx that are no secret.
pub(crate) static IBM: Group = Group {
    names: &["watsonx_region_name", "watsonx_project", "project_id", "space_id"],
    kind: Text,
    state: State::Used,
    about: "watsonx: region, and whose calls they are.",
};

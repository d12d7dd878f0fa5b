//! `general_settings`.

use std::time::Duration;

use tollgate_wire::Secret;

use super::{ClientDisconnect, EphemeralKeys, HealthChecks, PassThroughEndpoint};
use crate::{fields::Fields, keys::USER_HEADER, yaml::Node};

/// Settings of the gateway itself, as far as this version uses them. `None` means the default of the reference.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "LiteLLM's own names; docs/reference/config.md says what each means")]
pub struct GeneralSettings {
    pub master_key: Option<Secret>,
    pub store_model_in_db: Option<bool>,
    pub completion_model: Option<String>,
    pub embedding_model: Option<String>,
    pub default_model: Option<String>,
    pub allow_client_side_credentials: bool,
    pub litellm_key_header_name: Option<String>,
    pub max_request_size_mb: Option<f64>,
    pub max_response_size_mb: Option<f64>,
    pub forward_client_headers_to_llm_api: bool,
    pub forward_openai_org_id: bool,
    pub user_header_name: Option<String>,
    /// Of `user_header_mappings` those that name customers.
    pub customer_headers: Vec<String>,
    pub user_url_allowed_hosts: Vec<String>,
    pub public_routes: Vec<String>,
    /// Empty: everybody.
    pub allowed_ips: Vec<String>,
    pub use_x_forwarded_for: bool,
    pub global_max_parallel_requests: Option<u64>,
    pub fail_closed_rate_limit_enforcement: bool,
    pub token_rate_limit_type: Option<String>,
    pub limit_redis_wait: Option<Duration>,
    pub limit_slot_lease: Option<Duration>,
    pub always_include_stream_usage: bool,
    pub infer_model_from_keys: bool,
    pub health: HealthChecks,
    pub client_disconnect: Option<ClientDisconnect>,
    pub ephemeral_keys: EphemeralKeys,
    pub database_url: Option<Secret>,
    pub database_connection_pool_limit: Option<u64>,
    pub allow_requests_on_db_unavailable: bool,
    pub disable_spend_logs: bool,
    pub user_api_key_cache_ttl: Option<Duration>,
    pub user_api_key_cache_max_size: Option<u64>,
    pub stale_key_ttl: Option<Duration>,
    pub unknown_spend_ttl: Option<Duration>,
    pub key_lookup_wait: Option<Duration>,
    pub admit_unjournaled: bool,
    pub maximum_spend_logs_retention_period: Option<Duration>,
    pub maximum_spend_logs_retention_interval: Option<Duration>,
    pub stream_header_wait: Option<Duration>,
    pub config_poll_interval: Option<Duration>,
    pub shutdown_grace: Option<Duration>,
    pub max_header_bytes: Option<u64>,
    pub max_connections: Option<u64>,
    pub header_read_timeout: Option<Duration>,
    pub body_read_timeout: Option<Duration>,
    pub keepalive_timeout: Option<Duration>,
    pub http2_max_streams: Option<u64>,
    pub stream_buffer_bytes: Option<u64>,
    pub max_response_bytes: Option<u64>,
    pub pool_max_idle_per_host: Option<u64>,
    pub pool_max_age: Option<Duration>,
    pub max_draining_calls: Option<u64>,
    pub kept_responses: Option<u64>,
    pub kept_responses_bytes: Option<u64>,
    pub kept_responses_ttl: Option<Duration>,
    pub proxy_batch_polling_interval: Option<Duration>,
    pub max_followed_batches: Option<u64>,
    pub max_batch_poll_failures: Option<u64>,
    pub max_media_pieces: Option<u64>,
    pub max_media_bytes: Option<u64>,
    pub max_media_bytes_together: Option<u64>,
    pub media_timeout: Option<Duration>,
    pub max_socket_message_bytes: Option<u64>,
    pub socket_idle_timeout: Option<Duration>,
    pub responses_websocket_session_limit: Option<Duration>,
    pub max_form_size_mb: Option<f64>,
    pub max_file_size_mb: Option<f64>,
    pub pass_through_endpoints: Vec<PassThroughEndpoint>,
    pub pass_through_request_timeout: Option<Duration>,
}

impl GeneralSettings {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        let mut settings = Self {
            master_key: fields.secret("master_key"),
            store_model_in_db: fields.flag("store_model_in_db"),
            completion_model: fields.text("completion_model"),
            embedding_model: fields.text("embedding_model"),
            default_model: fields.text("default_model"),
            allow_client_side_credentials: fields.is_on("allow_client_side_credentials"),
            litellm_key_header_name: fields.text("litellm_key_header_name"),
            max_request_size_mb: fields.number("max_request_size_mb"),
            max_response_size_mb: fields.number("max_response_size_mb"),
            forward_client_headers_to_llm_api: fields.is_on("forward_client_headers_to_llm_api"),
            forward_openai_org_id: fields.is_on("forward_openai_org_id"),
            user_header_name: fields.text("user_header_name"),
            customer_headers: customer_headers(fields),
            user_url_allowed_hosts: fields.texts("user_url_allowed_hosts"),
            public_routes: fields.texts("public_routes"),
            allowed_ips: fields.texts("allowed_ips"),
            use_x_forwarded_for: fields.is_on("use_x_forwarded_for"),
            global_max_parallel_requests: fields.whole("global_max_parallel_requests"),
            fail_closed_rate_limit_enforcement: fields.is_on("fail_closed_rate_limit_enforcement"),
            token_rate_limit_type: fields.text("token_rate_limit_type"),
            limit_redis_wait: fields.duration("limit_redis_wait"),
            limit_slot_lease: fields.duration("limit_slot_lease"),
            always_include_stream_usage: fields.is_on("always_include_stream_usage"),
            infer_model_from_keys: fields.is_on("infer_model_from_keys"),
            health: HealthChecks::read(fields),
            client_disconnect: fields.text("client_disconnect").and_then(|text| ClientDisconnect::of(&text)),
            database_url: fields.secret("database_url"),
            database_connection_pool_limit: fields.whole("database_connection_pool_limit"),
            disable_spend_logs: fields.flag("disable_spend_logs").unwrap_or_default(),
            allow_requests_on_db_unavailable: fields.flag("allow_requests_on_db_unavailable").unwrap_or_default(),
            user_api_key_cache_ttl: fields.duration("user_api_key_cache_ttl"),
            user_api_key_cache_max_size: fields.whole("user_api_key_cache_max_size"),
            stale_key_ttl: fields.duration("stale_key_ttl"),
            unknown_spend_ttl: fields.duration("unknown_spend_ttl"),
            key_lookup_wait: fields.duration("key_lookup_wait"),
            admit_unjournaled: fields.flag("admit_unjournaled").unwrap_or_default(),
            maximum_spend_logs_retention_period: fields.duration("maximum_spend_logs_retention_period"),
            maximum_spend_logs_retention_interval: fields.duration("maximum_spend_logs_retention_interval"),
            ephemeral_keys: fields.text("ephemeral_keys").and_then(|text| EphemeralKeys::of(&text)).unwrap_or_default(),
            pass_through_endpoints: PassThroughEndpoint::all(fields),
            pass_through_request_timeout: fields.duration("pass_through_request_timeout"),
            ..Self::default()
        };
        settings.read_bounds(fields);
        settings
    }

    fn read_bounds(&mut self, fields: &Fields<'_>) {
        self.stream_header_wait = fields.duration("stream_header_wait");
        self.config_poll_interval = fields.duration("config_poll_interval");
        self.shutdown_grace = fields.duration("shutdown_grace");
        self.max_header_bytes = fields.whole("max_header_bytes");
        self.max_connections = fields.whole("max_connections");
        self.header_read_timeout = fields.duration("header_read_timeout");
        self.body_read_timeout = fields.duration("body_read_timeout");
        self.keepalive_timeout = fields.duration("keepalive_timeout");
        self.http2_max_streams = fields.whole("http2_max_streams");
        self.stream_buffer_bytes = fields.whole("stream_buffer_bytes");
        self.max_response_bytes = fields.whole("max_response_bytes");
        self.pool_max_idle_per_host = fields.whole("pool_max_idle_per_host");
        self.pool_max_age = fields.duration("pool_max_age");
        self.max_form_size_mb = fields.number("max_form_size_mb");
        self.max_file_size_mb = fields.number("max_file_size_mb");
        self.max_draining_calls = fields.whole("max_draining_calls");
        self.kept_responses = fields.whole("kept_responses");
        self.kept_responses_bytes = fields.whole("kept_responses_bytes");
        self.kept_responses_ttl = fields.duration("kept_responses_ttl");
        self.proxy_batch_polling_interval = fields.duration("proxy_batch_polling_interval");
        self.max_followed_batches = fields.whole("max_followed_batches");
        self.max_batch_poll_failures = fields.whole("max_batch_poll_failures");
        self.max_media_pieces = fields.whole("max_media_pieces");
        self.max_media_bytes = fields.whole("max_media_bytes");
        self.max_media_bytes_together = fields.whole("max_media_bytes_together");
        self.media_timeout = fields.duration("media_timeout");
        self.max_socket_message_bytes = fields.whole("max_socket_message_bytes");
        self.socket_idle_timeout = fields.duration("socket_idle_timeout");
        self.responses_websocket_session_limit = fields.duration("responses_websocket_session_limit_seconds");
    }
}

/// Of `user_header_mappings` those headers that name customers.
fn customer_headers(fields: &Fields<'_>) -> Vec<String> {
    let items = fields.node("user_header_mappings").and_then(Node::items).unwrap_or_default();
    let mappings = items.iter().map(|item| Fields::of(Some(item), &USER_HEADER));
    let is_customer = |mapping: &Fields<'_>| {
        mapping.text("litellm_user_role").is_some_and(|role| role.eq_ignore_ascii_case("customer"))
    };
    mappings.filter(is_customer).filter_map(|mapping| mapping.text("header_name")).collect()
}

//! What was spent: one row for each attempt and each correction, the sums that are kept of them in the same transaction, and
//! the attempts of which nobody knows yet.

mod batch;
mod booking;
mod check;
mod daily;
mod logs;
mod ranges;
mod retention;
mod unknown;
mod windows;

pub use batch::{Batch, Booked, Projected, Quarantined, Unread};
pub use check::Difference;
pub use daily::{Activity, ActivityFilter, By, Of};
pub use logs::{Found, LogFilter, LogListing, LogSort};
pub use ranges::{CacheUse, Failures};
pub use unknown::UnknownAttempt;
pub use windows::{Total, Window, Windows};

use crate::{
    record::record,
    values::{EpochMs, Json, NanoDollars},
};

record! {
    /// An attempt, or a correction of what was spent (surface 8.3).
    pub struct SpendRow {
        /// Its own id: the attempt's, or one made for a correction.
        row_id: String,
        /// When the attempt began.
        started_at: EpochMs,
        /// When it ended.
        ended_at: EpochMs,
        /// When its first content came.
        completion_started_at: Option<EpochMs>,
        /// How long it took, in milliseconds.
        request_duration_ms: i64,
        /// The attempt that it is about.
        attempt_id: String,
        /// The call's id, as in `x-litellm-call-id`.
        call_id: String,
        /// The provider's id of the answer, else the call's.
        request_id: String,
        /// `acompletion` and so on.
        call_type: String,
        /// `success` or `failure`.
        status: String,
        /// What it cost.
        spend: NanoDollars,
        /// `stated`, `counted`, `unknown` or `corrected`.
        certainty: String,
        /// Tokens in all.
        total_tokens: i64,
        /// Tokens in.
        prompt_tokens: i64,
        /// Tokens out.
        completion_tokens: i64,
        /// Tokens in that the provider had cached.
        cache_read_tokens: i64,
        /// Tokens in that it cached.
        cache_write_tokens: i64,
        /// The hash of the key.
        api_key: String,
        /// The key's alias.
        key_alias: Option<String>,
        /// The key's user.
        user_id: Option<String>,
        /// The key's team.
        team_id: Option<String>,
        /// The organization.
        organization_id: Option<String>,
        /// The project.
        project_id: Option<String>,
        /// The agent.
        agent_id: Option<String>,
        /// The customer.
        end_user: Option<String>,
        /// The model, as the provider calls it.
        model: String,
        /// The deployment.
        model_id: Option<String>,
        /// The model, as the client called it.
        model_group: Option<String>,
        /// The provider.
        provider: Option<String>,
        /// The provider's address.
        api_base: Option<String>,
        /// The route.
        endpoint: Option<String>,
        /// The tool of an MCP server.
        mcp_tool: Option<String>,
        /// The session.
        session_id: Option<String>,
        /// Where the call came from.
        requester_ip_address: Option<String>,
        /// `True`, `False` or nothing.
        cache_hit: Option<String>,
        /// The key of the cache.
        cache_key: Option<String>,
        /// The status of an error.
        error_code: Option<String>,
        /// Its words.
        error_message: Option<String>,
        /// The tags.
        request_tags: Option<Json>,
        /// Everything else.
        metadata: Option<Json>,
        /// The prompt, if it is kept.
        messages: Option<Json>,
        /// The answer, if it is kept.
        response: Option<Json>,
        /// The request, if it is kept.
        proxy_server_request: Option<Json>,
        /// The windows that the cost was settled into, so that totals can be recomputed.
        windows: Windows,
    }
}

//! FriendliAI.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "friendliai",
    title: "Friendliai",
    base_url: "https://api.friendli.ai/serverless/v1",
    base_env: &["FRIENDLI_API_BASE"],
    key_env: &["FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

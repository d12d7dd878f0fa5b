//! FriendliAI.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "friendliai",
    title: "Friendliai",
    base_url: "https://api.friendli.ai/serverless/v1",
    base_env: &["FRIENDLI_API_BASE"],
    key_env: &["FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"],
    ..OPENAI_COMPATIBLE
};

//! SAP AI Core.

use crate::{
    dialects::sap,
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "sap",
    title: "Sap",
    key_env: &["AICORE_SERVICE_KEY"],
    chat: Some(&sap::CHAT),
    embeddings: None,
    embed: Some(&sap::VECTORS),
    locate: Some(sap::locate),
    chat_path: "/v2/completion",
    quirks: Quirks {
        supported: Supported::Only(sap::TAKES),
        stream_usage: StreamUsage::Never,
        notes: &[
            "the account is a service key, or `AICORE_CLIENT_ID`, `AICORE_CLIENT_SECRET`, `AICORE_AUTH_URL` and `AICORE_BASE_URL`",
            "`AICORE_RESOURCE_GROUP` names the resource group (`default` where it is not set)",
            "`api_base` is the URL of an orchestration's deployment; without it the newest one is looked up by each call",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

//! Predibase's deployments.

use crate::{
    dialects::{huggingface::generate, predibase},
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "predibase",
    title: "Predibase",
    base_env: predibase::BASE_ENV,
    key_env: &["PREDIBASE_API_KEY"],
    chat: Some(&predibase::CHAT),
    completions: Some(&predibase::COMPLETE),
    embeddings: None,
    locate: Some(predibase::locate),
    quirks: Quirks {
        supported: Supported::Only(generate::TAKES),
        notes: &["`predibase_tenant_id`, or `PREDIBASE_TENANT_ID`, says whose deployment it is"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

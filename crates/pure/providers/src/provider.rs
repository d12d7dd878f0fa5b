//! The row: everything about a provider that a value can say.

use serde_json::{Map, Value};
use tollgate_wire::{Failure, RawBody};

use crate::{codec::ProviderDialect, dialects::openai, target::Target};

/// One provider. A new one is one file in `table/`, its name in `table.rs`, one fixture folder.
#[derive(Debug)]
pub struct Provider {
    /// The prefix in model strings, `groq` in `groq/llama-3`.
    pub name: &'static str,
    /// How errors name it: `<title>Exception`. `LiteLLM` capitalises the name (`Fireworks_ai`), clients grep for it.
    pub title: &'static str,
    /// Where it lives; empty when every customer has an address of his own and `api_base` must be given.
    pub base_url: &'static str,
    /// Environment variables that may hold the address, first one wins.
    pub base_env: &'static [&'static str],
    /// Environment variables that may hold the key, first one wins.
    pub key_env: &'static [&'static str],
    /// Whether a call can go out without a key.
    pub key: KeyNeed,
    /// How the key travels.
    pub auth: Auth,
    /// How chat is spoken, if it is.
    pub chat: Option<&'static dyn ProviderDialect>,
    /// Chat of those models that speak another dialect than the rest; `None` for the rest.
    pub chat_by_model: Option<ByModel>,
    /// How text completion is spoken, if it is.
    pub completions: Option<&'static dyn ProviderDialect>,
    /// How embeddings are asked for, if they are: path below the base URL, in `OpenAI`'s shape.
    pub embeddings: Option<&'static str>,
    /// Path of chat below the base URL.
    pub chat_path: &'static str,
    /// Path of text completion below the base URL.
    pub completions_path: &'static str,
    /// Where it differs from its dialect.
    pub quirks: Quirks,
}

/// Whether a provider needs a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNeed {
    /// A deployment without one cannot be served.
    Required,
    /// Local servers and the like.
    Optional,
}

/// How a key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// `<name>: <key>`.
    Header(&'static str),
    /// `api-key` for keys, Bearer for Entra tokens.
    Azure,
    /// `x-api-key` for keys, Bearer with the OAuth beta header for OAuth tokens.
    Anthropic,
}

/// Which of `OpenAI`'s parameters a provider takes; the others are an error, or dropped with `drop_params`.
#[derive(Clone, Copy, Debug)]
pub enum Supported {
    /// All of them.
    All,
    /// These.
    Only(&'static [&'static str]),
    /// All but these.
    Except(&'static [&'static str]),
    /// It depends on the model.
    ByModel(fn(parameter: &str, target: &Target) -> bool),
}

/// When a stream is asked to report its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamUsage {
    /// Always, so that every stream is billed by the provider's own count; what the client did not ask for is swallowed.
    Ask,
    /// Never: the provider refuses `stream_options`, or reports without being asked.
    Never,
}

/// The dialect of a model that speaks another one than its provider's others.
pub type ByModel = fn(&Target) -> Option<&'static dyn ProviderDialect>;
/// A change of a request that no value can say.
pub type RequestHook = fn(&mut RawBody, &Target) -> Result<(), Failure>;
/// A change of an answer, or of one chunk of a streamed answer, that no value can say.
pub type AnswerHook = fn(&mut Map<String, Value>);

/// Where a provider differs from its dialect.
#[derive(Clone, Copy, Debug)]
pub struct Quirks {
    /// Which parameters it takes.
    pub supported: Supported,
    /// Parameters that it takes under another name.
    pub rename: &'static [(&'static str, &'static str)],
    /// Members that it rejects and that nobody misses.
    pub drop: &'static [&'static str],
    /// Whether streams are asked for their usage.
    pub stream_usage: StreamUsage,
    /// `"stream": false` is sent where the client did not ask for a stream.
    pub says_stream_false: bool,
    /// The `developer` role is sent as `system`.
    pub developer_as_system: bool,
    /// Headers that every request carries.
    pub headers: &'static [(&'static str, &'static str)],
    /// Members that every request carries: name and raw JSON.
    pub fixed: &'static [(&'static str, &'static str)],
    /// Put before a model name that has no `/`.
    pub model_prefix: &'static str,
    /// What else must change in a request.
    pub request: Option<RequestHook>,
    /// What else must change in an answer.
    pub answer: Option<AnswerHook>,
    /// What else must change in a chunk of a stream.
    pub chunk: Option<AnswerHook>,
}

impl Quirks {
    /// No difference.
    pub const NONE: Self = Self {
        supported: Supported::All,
        rename: &[],
        drop: &[],
        stream_usage: StreamUsage::Ask,
        says_stream_false: false,
        developer_as_system: true,
        headers: &[],
        fixed: &[],
        model_prefix: "",
        request: None,
        answer: None,
        chunk: None,
    };
}

/// What most rows start from: `OpenAI`'s dialect at another address.
pub const OPENAI_COMPATIBLE: Provider = Provider {
    name: "",
    title: "",
    base_url: "",
    base_env: &[],
    key_env: &[],
    key: KeyNeed::Required,
    auth: Auth::Bearer,
    chat: Some(&openai::CHAT),
    chat_by_model: None,
    completions: None,
    embeddings: Some("/embeddings"),
    chat_path: "/chat/completions",
    completions_path: "/completions",
    quirks: Quirks::NONE,
};

//! The row: everything about a provider that a value can say.

use serde_json::Value;
use tollgate_wire::{
    Failure, RawBody,
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    images::{ImageRequest, ImageResponse},
    rerank::{RerankRequest, RerankResponse},
};

use crate::{
    codec::{Codec, ProviderDialect},
    dialects::openai,
    locate::Locate,
    params::CallParams,
    target::{self, Target},
    translate::Operation,
};

/// One provider. A new one is one file in `table/`, its name in `table.rs`, one fixture folder.
#[derive(Debug)]
pub struct Provider {
    /// The prefix in model strings, `groq` in `groq/llama-3`.
    pub name: &'static str,
    /// Other prefixes that mean it.
    pub aliases: &'static [&'static str],
    /// How errors name it: `<title>Exception`. `LiteLLM` capitalises the name (`Fireworks_ai`), clients grep for it.
    pub title: &'static str,
    /// Where it lives; empty when every customer has an address of his own and `api_base` must be given. `{NAME}` stands
    /// for the value of an environment variable.
    pub base_url: &'static str,
    /// What every base URL ends with; added where a customer left it out.
    pub base_suffix: &'static str,
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
    /// How chat is spoken for Anthropic's clients, where otherwise than for the rest.
    pub messages: Option<&'static dyn ProviderDialect>,
    /// How text completion is spoken, if it is.
    pub completions: Option<&'static dyn ProviderDialect>,
    /// Path of embeddings below the base URL, if they are asked for in `OpenAI`'s words.
    pub embeddings: Option<&'static str>,
    /// How embeddings are asked for in other words.
    pub embed: Option<&'static dyn Codec<EmbeddingRequest, EmbeddingResponse>>,
    /// How documents are reranked, if they are.
    pub rerank: Option<&'static dyn Codec<RerankRequest, RerankResponse>>,
    /// How pictures are asked for in other words than `OpenAI`'s.
    pub draw: Option<&'static dyn Codec<ImageRequest, ImageResponse>>,
    /// Further operations in `OpenAI`'s words, with their paths below the base URL.
    pub also: &'static [(Operation, &'static str)],
    /// Path of the Responses API below the base URL, where clients of it are passed on to the provider's own.
    pub responses: Option<&'static str>,
    /// How a deployment's address, account and model name are worked out where a base URL and a key do not say it.
    pub locate: Option<Locate>,
    /// Path of chat below the base URL.
    pub chat_path: &'static str,
    /// Path of text completion below the base URL.
    pub completions_path: &'static str,
    /// The whole address of a path.
    pub address: Address,
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
    /// `Authorization: <scheme> <key>`.
    Scheme(&'static str),
    /// `api-key` for keys, Bearer for Entra tokens.
    Azure,
    /// `api-key` at Azure's own hosts, Bearer at those of single models.
    AzureFoundry,
    /// Bearer, and a header that says which kind of token it is: `pat/<token>` or a signed key pair.
    Snowflake,
    /// `x-api-key` for keys, Bearer with the OAuth beta header for OAuth tokens.
    Anthropic,
    /// A signature of AWS's under this service's name, made of keys that an account is turned into; Bearer for API keys.
    Aws(&'static str),
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
    /// Where the client asks: the provider is not known to take `stream_options`, or reports without being asked.
    IfAsked,
    /// Never: the provider refuses `stream_options`, or reports without being asked.
    Never,
}

/// The dialect of a model that speaks another one than its provider's others.
pub type ByModel = fn(&Target) -> Option<&'static dyn ProviderDialect>;
/// How an answer by a JSON schema is asked for.
#[derive(Clone, Copy, Debug)]
pub enum JsonSchema {
    /// With `response_format`, as `OpenAI` does it.
    Native,
    /// With a tool that must be called, on targets for which this says so; its arguments are the answer.
    ByTool(fn(&Target) -> bool),
}

/// How a model is made to go on with the beginning of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Prefill {
    /// It cannot be.
    None,
    /// It goes on with whatever turn of the assistant comes last, where this says so.
    LastTurn(fn(&Target) -> bool),
    /// The turn has this member, set to true.
    Marked(&'static str),
    /// The request has these members: name and raw JSON.
    Asked(&'static [(&'static str, &'static str)]),
}

/// What of a request its answer must be read by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The client offered tools.
    pub tools: bool,
    /// The schema of the answer went out as a tool.
    pub json_tool: bool,
}

/// The whole address of a path below the base URL.
pub type Address = fn(&Target, &str) -> String;
/// A change of a request that no value can say.
pub type RequestHook = fn(&mut RawBody, &Target, &CallParams) -> Result<(), Failure>;
/// A change of an answer, or of one chunk of a streamed answer, that no value can say.
pub type AnswerHook = fn(&mut RawBody, Asked);

/// Where a provider differs from its dialect.
#[derive(Clone, Copy, Debug)]
pub struct Quirks {
    /// Which parameters it takes.
    pub supported: Supported,
    /// The name under which it refuses the others, where it is not the row's.
    pub refuses_as: Option<fn(&Target) -> &'static str>,
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
    /// Contents that are lists of texts only are sent as one text.
    pub joins_texts: bool,
    /// Anthropic's marks for prompt caching are left in; elsewhere they are unknown members, which `OpenAI` refuses.
    pub keeps_cache_control: bool,
    /// How an answer by a JSON schema is asked for.
    pub json_schema: JsonSchema,
    /// Which of `dimensions`, `encoding_format` and `user` requests for vectors may carry, where not all of them.
    pub vectors_take: Option<&'static [&'static str]>,
    /// Vectors are fetched as base64, a third of the size, whatever the client wants to see.
    pub base64_vectors: bool,
    /// How its models go on with an answer that has begun.
    pub prefill: Prefill,
    /// What is asked for is made to its end and billed, whether or not somebody still waits for it.
    pub makes_jobs: bool,
    /// Streams get an id of ours, as `LiteLLM` gives them for a few.
    pub own_stream_id: bool,
    /// Headers that every request carries.
    pub headers: &'static [(&'static str, &'static str)],
    /// Headers whose values an environment variable may give: variable and header.
    pub header_env: &'static [(&'static str, &'static str)],
    /// Its thoughts have no seal that a later turn must return: streams carry them as `reasoning_content` alone.
    pub bare_thoughts: bool,
    /// Members that every request carries: name and raw JSON.
    pub fixed: &'static [(&'static str, &'static str)],
    /// Put before a model name that has no `/`.
    pub model_prefix: &'static str,
    /// What else must change in a request.
    pub request: Option<RequestHook>,
    /// What else must change in an answer.
    pub answer: Option<AnswerHook>,
    /// What must change in an answer once its choices are in order.
    pub answer_last: Option<AnswerHook>,
    /// What else must change in a chunk of a stream.
    pub chunk: Option<AnswerHook>,
    /// How an error in a stream is told, from its message and the whole error.
    pub in_band: Option<fn(&str, &Value) -> String>,
    /// What the hooks do, in words for the reference page.
    pub notes: &'static [&'static str],
}

/// For [`Quirks::rename`] of providers that know only the older name.
pub const MAX_TOKENS_ONLY: &[(&str, &str)] = &[("max_completion_tokens", "max_tokens")];

impl Quirks {
    /// No difference.
    pub const NONE: Self = Self {
        supported: Supported::ByModel(openai::compatible_takes),
        refuses_as: None,
        rename: &[],
        drop: &[],
        stream_usage: StreamUsage::IfAsked,
        says_stream_false: false,
        developer_as_system: true,
        joins_texts: false,
        keeps_cache_control: false,
        json_schema: JsonSchema::Native,
        vectors_take: None,
        base64_vectors: false,
        prefill: Prefill::None,
        makes_jobs: false,
        own_stream_id: false,
        headers: &[],
        header_env: &[],
        bare_thoughts: false,
        fixed: &[],
        model_prefix: "",
        request: None,
        answer: None,
        answer_last: None,
        chunk: None,
        in_band: None,
        notes: &[],
    };
}

/// What most rows start from: `OpenAI`'s dialect at another address.
pub const OPENAI_COMPATIBLE: Provider = Provider {
    name: "",
    aliases: &[],
    title: "",
    base_url: "",
    base_suffix: "",
    base_env: &[],
    key_env: &[],
    key: KeyNeed::Required,
    auth: Auth::Bearer,
    chat: Some(&openai::CHAT),
    chat_by_model: None,
    messages: None,
    completions: None,
    embeddings: Some("/embeddings"),
    embed: None,
    rerank: None,
    draw: None,
    also: &[],
    responses: None,
    locate: None,
    chat_path: "/chat/completions",
    completions_path: "/completions",
    address: target::below_base,
    quirks: Quirks::NONE,
};

//! The hub: one superset of every chat dialect. A client dialect reads into it, a provider dialect writes from it, and
//! back. What a dialect says that has no place here travels as extras under the dialect's own names, so that a later
//! turn can return it.

use serde_json::{Map, Number, Value};

use crate::usage::Usage;

/// Members that have no field of their own, as the client or provider wrote them.
pub type Extras = Map<String, Value>;

/// A chat call as the hub knows it. Numbers stay as they were written.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// The conversation, system messages included, in the client's order.
    pub messages: Vec<Message>,
    /// The tools on offer.
    pub tools: Vec<Tool>,
    /// Which tool must or may be called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called in one turn.
    pub parallel_tool_calls: Option<bool>,
    /// Longest answer, tokens.
    pub max_output_tokens: Option<u64>,
    /// The client called it `max_completion_tokens`; servers that know both words are told the same.
    pub says_completion_tokens: bool,
    /// Randomness.
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    pub top_p: Option<Number>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// The form that the answer must have.
    pub response_format: Option<ResponseFormat>,
    /// How much to think: `low`, `medium`, … or `none`, `disable`.
    pub reasoning_effort: Option<String>,
    /// The end user, for the provider's abuse detection.
    pub user: Option<String>,
    /// The answer is streamed.
    pub stream: bool,
    /// Every other parameter, under the client's name for it.
    pub extras: Extras,
    /// What the dialect wanted fetched (a chat template, say), by URL. Not the client's.
    pub documents: Vec<(String, String)>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator's instructions (`system` and `developer` alike).
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result; its parts are [`Part::ToolResult`].
    Tool,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// The speaker's name, where the client gave one.
    pub name: Option<String>,
    /// Members without a place here (`cache_control` on the message, …).
    pub extras: Extras,
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Words; extras hold `cache_control`, `citations`, ….
    Text {
        /// The words.
        text: String,
        /// Members without a place here.
        extras: Extras,
    },
    /// A picture.
    Image {
        /// Where it is.
        source: Media,
        /// Members without a place here (`detail`, `cache_control`).
        extras: Extras,
    },
    /// Sound.
    Audio {
        /// Base64 of the sound.
        data: String,
        /// `wav`, `mp3`, ….
        format: String,
    },
    /// A file, nearly always a PDF.
    Document {
        /// Where it is.
        source: Media,
        /// Its name.
        name: Option<String>,
        /// Members without a place here.
        extras: Extras,
    },
    /// What the model thought.
    Thinking {
        /// The thoughts.
        text: String,
        /// The provider's seal on them, to be returned in a later turn.
        signature: Option<String>,
    },
    /// Thoughts that only the provider can read.
    RedactedThinking {
        /// The sealed thoughts.
        data: String,
    },
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult {
        /// Which call this answers.
        call_id: String,
        /// The answer.
        parts: Vec<Part>,
        /// The tool failed.
        is_error: bool,
        /// Members without a place here.
        extras: Extras,
    },
    /// The model declines.
    Refusal(String),
    /// A piece that only one dialect knows, as it wrote it.
    Opaque {
        /// The dialect whose words these are.
        dialect: &'static str,
        /// The piece.
        raw: Value,
    },
}

impl Part {
    /// Plain words.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), extras: Extras::new() }
    }
}

/// Where a picture or file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// On the web.
    Url(String),
    /// In the message.
    Inline {
        /// `image/png`, `application/pdf`, ….
        media_type: String,
        /// Base64 of the bytes.
        data: String,
    },
    /// At the provider, under this id.
    FileId(String),
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The call's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments: JSON text, as the model wrote it.
    pub arguments: String,
    /// Members without a place here.
    pub extras: Extras,
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function of the client's.
    Function {
        /// Its name.
        name: String,
        /// What it does.
        description: Option<String>,
        /// JSON schema of its arguments.
        parameters: Option<Value>,
        /// The arguments must follow the schema.
        strict: Option<bool>,
        /// Members without a place here (`cache_control`).
        extras: Extras,
    },
    /// A tool of the provider's own (`web_search_20250305`, …), as the client wrote it.
    Native(Value),
}

/// Which tool is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// The form of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat {
    /// Plain text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON by a schema.
    JsonSchema {
        /// The schema's name.
        name: Option<String>,
        /// The schema.
        schema: Value,
        /// The answer must follow it.
        strict: Option<bool>,
    },
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was done, or met a stop text.
    Stop,
    /// It reached the longest answer.
    Length,
    /// It calls tools.
    ToolCalls,
    /// A filter ended it.
    ContentFilter,
    /// It calls a function, in the dialect of 2023.
    FunctionCall,
}

impl Finish {
    /// `OpenAI`'s word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::FunctionCall => "function_call",
        }
    }

    /// From `OpenAI`'s word, or one that OpenAI-compatible servers use for the same; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            "function_call" => Self::FunctionCall,
            _ => return None,
        })
    }
}

/// A whole answer.
#[derive(Clone, Debug, Default)]
pub struct ChatResponse {
    /// The provider's id; empty when it gave none.
    pub id: String,
    /// The model that answered, in the provider's words.
    pub model: String,
    /// When, seconds since 1970; `None` when the provider does not say.
    pub created: Option<u64>,
    /// The answers, one unless the client asked for more.
    pub choices: Vec<Choice>,
    /// What it used, if the provider says.
    pub usage: Option<Usage>,
    /// Members of the usage as `OpenAI` clients see them, beyond the three totals.
    pub usage_extras: Extras,
    /// Members without a place here (`system_fingerprint`, `citations`, …).
    pub extras: Extras,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its place among the answers.
    pub index: u64,
    /// What was said.
    pub parts: Vec<Part>,
    /// Why the model stopped.
    pub finish: Finish,
    /// The provider's own word for it, where that says more.
    pub native_finish: Option<String>,
    /// Members without a place here (`logprobs`).
    pub extras: Extras,
    /// Members of the message without a place here.
    pub message_extras: Extras,
}

/// One step of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatChunk {
    /// The answer begins; comes once, first.
    Start {
        /// The provider's id; empty when it gave none.
        id: String,
        /// The model that answers, in the provider's words; empty when not said.
        model: String,
    },
    /// A piece of an answer.
    Delta {
        /// Which answer.
        choice: u64,
        /// The piece.
        delta: Delta,
    },
    /// An answer is over.
    Finish {
        /// Which answer.
        choice: u64,
        /// Why.
        finish: Finish,
        /// The provider's own word for it, where that says more.
        native: Option<String>,
    },
    /// What was used so far, the running total.
    Usage {
        /// The totals.
        usage: Usage,
        /// Members of the usage as `OpenAI` clients see them, beyond the three totals.
        extras: Extras,
    },
}

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Words.
    Text(String),
    /// Thoughts.
    Thinking(String),
    /// The seal on the thoughts so far.
    Signature(String),
    /// Sealed thoughts.
    RedactedThinking(String),
    /// A tool call begins.
    ToolStart {
        /// Its place among the calls of this answer, from 0.
        index: u64,
        /// Its id.
        id: String,
        /// The tool.
        name: String,
    },
    /// A piece of a call's arguments.
    ToolArguments {
        /// Which call.
        index: u64,
        /// JSON text.
        fragment: String,
    },
    /// The model declines.
    Refusal(String),
    /// Members of the delta that only its dialect knows (`audio`, `citation`), as `OpenAI` clients see them.
    Extras(Extras),
}

impl ChatRequest {
    /// A parameter that has no field of its own.
    #[must_use]
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extras.get(name).filter(|value| !value.is_null())
    }
}

//! What answers of the Responses API carry that only the gateway knows: the ids it gives out, and what the client asked,
//! which every answer repeats.

use std::sync::Arc;

use serde_json::{Map, Value};

/// Gives out ids of answers, and takes answers whose provider does not keep them.
pub trait Desk: Send + Sync + std::fmt::Debug {
    /// The client's id for an answer that the provider keeps under this id; of an empty one, for an answer of ours.
    fn id(&self, provider: &str) -> String;

    /// An answer of ours is whole.
    fn keep(&self, response: &Value);
}

/// What an answer repeats of its request, and who gives its id.
#[derive(Clone, Debug, Default)]
pub struct ResponsesContext {
    /// The request's members that answers repeat.
    pub echo: Arc<Map<String, Value>>,
    /// Who gives the id; without it ids are the provider's, or the call's.
    pub desk: Option<Arc<dyn Desk>>,
}

/// Members of a request that its answer repeats, in `OpenAI`'s order.
const ECHOED: &[&str] = &[
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

impl ResponsesContext {
    /// What answers to this request repeat; nobody gives ids yet.
    #[must_use]
    pub fn of(request: &Map<String, Value>) -> Self {
        let member = |name: &&str| Some(((*name).to_owned(), request.get(*name)?.clone()));
        Self { echo: Arc::new(ECHOED.iter().filter_map(member).collect()), desk: None }
    }

    /// What the client asked under this name; `null` where it did not.
    #[must_use]
    pub fn asked(&self, name: &str) -> &Value {
        self.echo.get(name).unwrap_or(&Value::Null)
    }

    /// The client's id for an answer that the provider knows by `provider`.
    pub(crate) fn id(&self, provider: &str, call: &str) -> String {
        match &self.desk {
            Some(desk) => desk.id(provider),
            None if provider.is_empty() => format!("resp_{call}"),
            None => provider.to_owned(),
        }
    }
}

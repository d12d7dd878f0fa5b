//! An answer that broke off and goes on elsewhere: which calls and models it can be done with, how the next one is asked to go
//! on, and how its words are joined to those that were said.

use serde_json::Value;
use tollgate_wire::{
    Failure, RawBody, Usage,
    chat::{ChatChunk, ChatRequest, Delta, Extras, Message, Part, ResponseFormat, Role},
    http::Outgoing,
};

use crate::{provider::Prefill, target::Target};

/// Whether a model can be made to go on with the beginning of an answer.
#[must_use]
pub fn takes(target: &Target) -> bool {
    match target.provider.quirks.prefill {
        Prefill::None => false,
        Prefill::LastTurn(takes) => takes(target),
        Prefill::Marked(_) | Prefill::Asked(_) => true,
    }
}

/// Members that ask for more than one answer in words.
const MORE_THAN_WORDS: &[&str] = &[
    "logprobs",
    "top_logprobs",
    "modalities",
    "audio",
    "thinking",
    "web_search_options",
    "prediction",
    "mcp_servers",
    "container",
    "background",
];

/// Whether the answer will be one text, which somebody else can go on with.
pub(crate) fn is_of_words(request: &ChatRequest) -> bool {
    let is_set =
        |name: &&str| request.extras.get(*name).is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)));
    let is_one = request.extras.get("n").is_none_or(|n| n.as_u64() == Some(1));
    let thinks = request.reasoning_effort.as_deref().is_some_and(|effort| !matches!(effort, "none" | "disable"));
    let is_text = matches!(request.response_format, None | Some(ResponseFormat::Text));
    // Who begins the answer himself has one that two have begun.
    let is_begun = request.messages.last().is_none_or(|last| last.role == Role::Assistant);
    request.stream
        && request.tools.is_empty()
        && is_one
        && is_text
        && !thinks
        && !is_begun
        && !MORE_THAN_WORDS.iter().any(is_set)
}

/// The request for what is missing of an answer that began with `said`, which ends in no white space: Anthropic refuses it.
pub(crate) fn go_on(request: &mut ChatRequest, said: &str) {
    let parts = vec![Part::text(said)];
    request.messages.push(Message { role: Role::Assistant, parts, name: None, extras: Extras::new() });
    if let Some(most) = &mut request.max_output_tokens {
        // About four bytes of English are a token; what was said is not said again.
        *most = most.saturating_sub(said.len() as u64 / 4).max(1);
    }
}

/// Says in the row's way that the last turn is to be gone on with.
///
/// # Errors
/// When the request is no JSON, which is our mistake.
pub(crate) fn mark(outgoing: &mut Outgoing, target: &Target) -> Result<(), Failure> {
    let prefill = target.provider.quirks.prefill;
    if matches!(prefill, Prefill::None | Prefill::LastTurn(_)) {
        return Ok(());
    }
    let mut body = RawBody::parse(&outgoing.body).map_err(|_| Failure::bug("a request that is no JSON"))?;
    if let Prefill::Asked(members) = prefill {
        for (name, raw) in members {
            body.set_raw(name, *raw);
        }
    }
    if let Prefill::Marked(name) = prefill {
        let mut messages: Vec<Value> = body.typed("messages").unwrap_or_default();
        if let Some(Value::Object(last)) = messages.last_mut() {
            last.insert(name.to_owned(), true.into());
        }
        body.set("messages", &messages.into());
    }
    outgoing.body = body.to_bytes();
    Ok(())
}

/// Where two attempts at one answer meet.
#[derive(Debug)]
pub(crate) struct Joint {
    /// White space that was said and not told to the next one, who may say it again.
    space: String,
    /// What was used before.
    pub(crate) before: Usage,
}

impl Joint {
    pub(crate) fn new(space: &str, before: Usage) -> Self {
        Self { space: space.to_owned(), before }
    }

    /// What the client gets of the next one's chunk: no second beginning, no white space twice, the usage of both.
    pub(crate) fn join(&mut self, chunk: ChatChunk) -> Option<ChatChunk> {
        match chunk {
            ChatChunk::Start { .. } => None,
            ChatChunk::Delta { choice, delta: Delta::Text(text) } => {
                let text = self.unsaid(&text);
                (!text.is_empty()).then_some(ChatChunk::Delta { choice, delta: Delta::Text(text) })
            }
            // What the provider says beyond the totals is of its part alone.
            ChatChunk::Usage { usage, .. } => {
                Some(ChatChunk::Usage { usage: self.before.plus(usage), extras: Extras::new() })
            }
            chunk => Some(chunk),
        }
    }

    fn unsaid(&mut self, text: &str) -> String {
        let same = self.space.chars().zip(text.chars()).take_while(|(said, next)| said == next);
        let bytes: usize = same.map(|(said, _)| said.len_utf8()).sum();
        let rest = text.get(bytes..).unwrap_or_default().to_owned();
        if rest.is_empty() {
            self.space.drain(..bytes);
        } else {
            self.space.clear();
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(space: &str, pieces: &[&str]) -> String {
        let mut joint = Joint::new(space, Usage::default());
        let delta = |text: &&str| ChatChunk::Delta { choice: 0, delta: Delta::Text((*text).to_owned()) };
        let texts = pieces.iter().filter_map(|piece| match joint.join(delta(piece))? {
            ChatChunk::Delta { delta: Delta::Text(text), .. } => Some(text),
            _ => None,
        });
        texts.collect()
    }

    #[test]
    fn white_space_is_neither_said_twice_nor_lost() {
        assert_eq!(joined("", &[" world"]), " world", "a word was cut before its space");
        assert_eq!(joined(" ", &[" world", " again"]), "world again");
        assert_eq!(joined(" ", &["world"]), "world");
        assert_eq!(joined("\n\n", &["\n", "\n", "\nNext"]), "\nNext", "three lines were meant");
        assert_eq!(joined("\n\n", &["\nNext", "\n"]), "Next\n");
        assert_eq!(joined("\n", &[" and", "\n"]), " and\n");
        assert_eq!(joined(" ", &["", "  x"]), " x");
        assert_eq!(joined("\u{a0}", &["\u{a0}x"]), "x");
    }

    #[test]
    fn the_usage_is_the_sum_and_there_is_one_beginning() {
        let before = Usage { input: 10, output: 4, ..Usage::default() };
        let mut joint = Joint::new("", before);
        assert_eq!(joint.join(ChatChunk::Start { id: "b".to_owned(), model: "m".to_owned() }), None);
        let usage = Usage { input: 15, output: 6, ..Usage::default() };
        let Some(ChatChunk::Usage { usage, .. }) = joint.join(ChatChunk::Usage { usage, extras: Extras::new() }) else {
            panic!("no usage")
        };
        assert_eq!((usage.input, usage.output), (25, 10));
    }

    #[test]
    fn only_one_answer_in_words_is_gone_on_with() {
        let user = Message { role: Role::User, parts: vec![Part::text("hi")], name: None, extras: Extras::new() };
        let plain = || ChatRequest { stream: true, messages: vec![user.clone()], ..ChatRequest::default() };
        assert!(is_of_words(&plain()));
        let with = |name: &str, value: Value| {
            let mut request = plain();
            request.extras.insert(name.to_owned(), value);
            request
        };
        assert!(is_of_words(&with("n", 1.into())) && is_of_words(&with("logprobs", false.into())));
        for (name, value) in [("n", 2.into()), ("logprobs", true.into()), ("thinking", serde_json::json!({}))] {
            assert!(!is_of_words(&with(name, value)), "{name}");
        }
        let mut begun = plain();
        begun.messages.push(Message { role: Role::Assistant, ..user.clone() });
        assert!(!is_of_words(&begun));
        assert!(!is_of_words(&ChatRequest { response_format: Some(ResponseFormat::JsonObject), ..plain() }));
        assert!(!is_of_words(&ChatRequest { reasoning_effort: Some("low".to_owned()), ..plain() }));
        assert!(!is_of_words(&ChatRequest { stream: false, ..plain() }));
    }

    #[test]
    fn an_answer_that_is_bounded_is_bounded_as_a_whole() {
        let mut request = ChatRequest { max_output_tokens: Some(100), ..ChatRequest::default() };
        go_on(&mut request, &"word".repeat(40));
        assert_eq!(request.max_output_tokens, Some(60));
        go_on(&mut request, &"word".repeat(400));
        assert_eq!(request.max_output_tokens, Some(1));
        assert_eq!(request.messages.len(), 2);
    }
}

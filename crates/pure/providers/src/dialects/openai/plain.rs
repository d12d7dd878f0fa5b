//! A look at the choices of an answer or chunk that builds nothing. Most are plain: only members that every client knows,
//! in the form that every client expects. Those pass as the bytes they are; the others go through [`super::normalise`].

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, Visitor},
};
use tollgate_wire::chat::Finish;

/// What a stream is watched for, of one choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its place among the answers.
    pub(super) index: u64,
    /// It says why it stopped.
    pub(super) ended: bool,
    /// How many bytes of answer it carries, thoughts and arguments included.
    pub(super) said: usize,
}

/// The choices, if all of them are plain.
pub(super) fn look(raw: &[u8]) -> Option<Vec<Seen>> {
    read(raw).map(|choices| choices.iter().map(Choice::seen).collect())
}

/// The same, and their words.
pub(super) fn listen(raw: &[u8], words: &mut String) -> Option<Vec<Seen>> {
    let choices = read(raw)?;
    choices.iter().flat_map(Choice::texts).for_each(|text| words.push_str(text));
    Some(choices.iter().map(Choice::seen).collect())
}

fn read(raw: &[u8]) -> Option<Vec<Choice<'_>>> {
    // What is ignored is passed on as well, so all of it must be text.
    let choices: Vec<Choice<'_>> = serde_json::from_str(std::str::from_utf8(raw).ok()?).ok()?;
    (!choices.iter().any(Choice::ends_oddly)).then_some(choices)
}

/// Members that are not named here make reading fail, and with it the look.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice<'r> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Option<Message<'r>>,
    #[serde(borrow)]
    message: Option<Message<'r>>,
    #[serde(borrow)]
    text: Option<Text<'r>>,
    finish_reason: Option<Reason>,
    #[serde(default, rename = "logprobs")]
    _logprobs: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'r> {
    #[serde(borrow)]
    content: Option<Text<'r>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'r>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'r>>>,
    #[serde(default, rename = "role")]
    _role: IgnoredAny,
    #[serde(default, rename = "function_call")]
    _function_call: IgnoredAny,
    #[serde(default, rename = "annotations")]
    _annotations: IgnoredAny,
    #[serde(default, rename = "refusal")]
    _refusal: Option<Never>,
}

#[derive(Deserialize)]
struct Call<'r> {
    #[serde(borrow)]
    function: Option<Function<'r>>,
}

#[derive(Deserialize)]
struct Function<'r> {
    #[serde(borrow)]
    name: Option<Text<'r>>,
    #[serde(borrow)]
    arguments: Option<Text<'r>>,
}

impl Choice<'_> {
    /// A whole answer that does not say why it ended, or may have ended for its calls.
    fn ends_oddly(&self) -> bool {
        let Some(message) = &self.message else { return false };
        let called = message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
        match &self.finish_reason {
            None => true,
            Some(Reason(finish)) => called && *finish == Finish::Stop,
        }
    }

    fn seen(&self) -> Seen {
        Seen { index: self.index, ended: self.finish_reason.is_some(), said: self.texts().map(str::len).sum() }
    }

    /// What it says, thoughts and arguments included.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let message = self.delta.as_ref().or(self.message.as_ref());
        let text = self.text.as_ref().filter(|_| message.is_none());
        message.into_iter().flat_map(Message::texts).chain(text).map(|text| text.0.as_ref())
    }
}

impl<'r> Message<'r> {
    fn texts(&self) -> impl Iterator<Item = &Text<'r>> {
        let functions = self.tool_calls.iter().flatten().filter_map(|call| call.function.as_ref());
        let called = functions.flat_map(|function| function.name.iter().chain(&function.arguments));
        self.content.iter().chain(&self.reasoning_content).chain(called)
    }
}

/// A text; where it stands without escapes, as it stands. One that may begin with a thought in tags is not plain.
struct Text<'r>(Cow<'r, str>);

impl<'de: 'r, 'r> Deserialize<'de> for Text<'r> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        plain(text).map(|text| Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        plain(text).map(|text| Text(Cow::Owned(text.to_owned())))
    }
}

fn plain<E: Error>(text: &str) -> Result<&str, E> {
    if text.trim_start().starts_with("<think") { Err(E::custom("a thought in tags")) } else { Ok(text) }
}

/// A reason to stop that clients know.
struct Reason(Finish);

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_str(ReasonVisitor)
    }
}

struct ReasonVisitor;

impl Visitor<'_> for ReasonVisitor {
    type Value = Reason;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a reason to stop")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Reason, E> {
        Finish::from_word(word).map(Reason).ok_or_else(|| E::custom("a reason of its own"))
    }
}

/// What must be absent or `null`.
enum Never {}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: Deserializer<'de>>(_reader: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("not plain"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialects::openai::normalise;

    fn check(choice: &Value, expected: Option<Seen>) {
        let seen = look(json!([choice]).to_string().as_bytes());
        assert_eq!(seen, expected.map(|seen| vec![seen]), "{choice}");
        // What passes as it is must be what the slow way would not touch.
        if expected.is_some() {
            assert!(!normalise::choices(&mut [choice.clone()]), "{choice}");
        }
    }

    #[test]
    fn what_is_ignored_must_be_text_too() {
        assert_eq!(look(b"[{\"delta\": {}, \"logprobs\": \"a\"}]").map(|seen| seen.len()), Some(1));
        assert_eq!(look(b"[{\"delta\": {}, \"logprobs\": \"\xff\"}]"), None);
    }

    #[test]
    fn plain_choices_are_measured() {
        let seen = |ended, said| Some(Seen { index: 0, ended, said });
        check(
            &json!({"index": 0, "delta": {"role": "assistant", "content": "", "refusal": null}, "logprobs": null, "finish_reason": null}),
            seen(false, 0),
        );
        check(&json!({"delta": {"content": "hé"}, "logprobs": {"content": []}}), seen(false, 3));
        check(&json!({"delta": {}, "finish_reason": "length"}), seen(true, 0));
        check(&json!({"text": " wo", "finish_reason": null}), seen(false, 3));
        check(
            &json!({"message": {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}], "annotations": []}, "finish_reason": "tool_calls"}),
            seen(true, 3),
        );
    }

    #[test]
    fn others_are_left_to_the_slow_way() {
        for choice in [
            json!({"delta": {"content": "x", "reasoning": "hm"}}),
            json!({"delta": {"content": [{"type": "text", "text": "x"}]}}),
            json!({"delta": {"refusal": "no"}}),
            json!({"message": {"content": " <think>a</think>b"}, "finish_reason": "stop"}),
            json!({"delta": {}, "finish_reason": "eos"}),
            json!({"delta": {}, "content_filter_results": {}}),
            json!({"index": "0", "delta": {}}),
        ] {
            check(&choice, None);
        }
        assert_eq!(look(b"{}"), None);
    }
}

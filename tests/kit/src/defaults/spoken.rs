//! What the model says: an echo of the last user message, a tool call where tools are offered, or a fitting JSON document.

use serde_json::{Value, json};

use super::sample;

/// One completion, before it is put into a provider's words.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) text: String,
    /// Name and arguments of a tool call; then there is no text.
    pub(super) tool: Option<(String, Value)>,
    /// Whether the token limit ended it.
    pub(super) cut_short: bool,
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
}

/// A tool that was offered: its name and the schema of its arguments.
pub(super) type Tool<'asked> = (&'asked str, &'asked Value);

/// What was asked, in nobody's words.
#[derive(Debug, Default)]
pub(super) struct Asked<'asked> {
    pub(super) prompt: String,
    pub(super) last_user_text: String,
    pub(super) tool: Option<Tool<'asked>>,
    pub(super) schema: Option<&'asked Value>,
    pub(super) wants_json: bool,
    pub(super) most_tokens: Option<u64>,
}

impl Spoken {
    pub(super) fn to(asked: &Asked<'_>) -> Self {
        let prompt_tokens = count(&asked.prompt);
        if let Some((name, schema)) = asked.tool {
            let arguments = sample::of(schema);
            let completion_tokens = count(&arguments.to_string()) + 1;
            let tool = Some((name.to_owned(), arguments));
            return Self { text: String::new(), tool, cut_short: false, prompt_tokens, completion_tokens };
        }
        let whole = match asked.schema {
            Some(schema) => sample::of(schema).to_string(),
            None if asked.wants_json => json!({"answer": "sample"}).to_string(),
            None => format!("Hello from the fake provider. You said: {}", asked.last_user_text),
        };
        let most = asked.most_tokens.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let text: String = words(&whole).into_iter().take(most).collect();
        let cut_short = text.len() < whole.len();
        let completion_tokens = count(&text);
        Self { text, tool: None, cut_short, prompt_tokens, completion_tokens }
    }
}

/// The tokens of a text; a word is one.
pub(super) fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The pieces in which a text is streamed: words with the space after them.
pub(super) fn words(text: &str) -> Vec<&str> {
    text.split_inclusive(' ').collect()
}

/// The text of a message's content: a string, or the text parts of a list.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

/// All texts of a conversation, and the last that a user wrote.
pub(super) fn conversation(messages: &[Value]) -> (String, String) {
    let texts: Vec<String> = messages.iter().map(|message| text_of(&message["content"])).collect();
    let last = messages.iter().rposition(|message| message["role"] == "user");
    let last_user_text = last.and_then(|index| texts.get(index).cloned()).unwrap_or_default();
    (texts.join(" "), last_user_text)
}

//! Blocks of a streamed answer that have begun, as Claude's own words and Converse have them.

use serde_json::Value;
use tollgate_wire::chat::Delta;

use super::anthropic::structured::Form;

/// A block that has begun, by what becomes of it.
pub(super) enum OpenBlock {
    /// A call, and whether any of its arguments have come.
    Call { index: u64, argued: bool },
    /// The answer in the form that the client asked for, passed on as it comes.
    Answer,
    /// The same where it must first be whole.
    Wrapped(String),
}

impl OpenBlock {
    /// The answer in this form.
    pub(super) fn answer(form: &Form) -> Self {
        if form.is_wrapped() { Self::Wrapped(String::new()) } else { Self::Answer }
    }

    /// A piece of its JSON has come.
    pub(super) fn grow(&mut self, fragment: &str) -> Option<Delta> {
        if fragment.is_empty() {
            return None;
        }
        match self {
            Self::Call { index, argued } => {
                *argued = true;
                Some(Delta::ToolArguments { index: *index, fragment: fragment.to_owned() })
            }
            Self::Answer => Some(Delta::Text(fragment.to_owned())),
            Self::Wrapped(whole) => {
                whole.push_str(fragment);
                None
            }
        }
    }

    /// It is over.
    pub(super) fn end(self, form: &Form) -> Option<Delta> {
        match self {
            // Clients read the arguments as JSON, which nothing is not.
            Self::Call { index, argued: false } => Some(Delta::ToolArguments { index, fragment: "{}".to_owned() }),
            Self::Wrapped(whole) => {
                let arguments: Option<Value> = serde_json::from_str(&whole).ok();
                let answer = arguments.map_or(whole, |arguments| form.unwrap(&arguments));
                (!answer.is_empty()).then_some(Delta::Text(answer))
            }
            Self::Call { .. } | Self::Answer => None,
        }
    }
}

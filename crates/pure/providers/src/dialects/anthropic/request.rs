//! A hub request as Anthropic's body.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatRequest, Part, Role},
};

use super::{
    conversation::Conversation,
    structured::{self, Form},
    thinking::Thinking,
    tools::{self, Offered},
};
use crate::target::Target;

/// The body, without `model` and `stream`, which not every cloud that serves Claude wants.
///
/// # Errors
/// When the request cannot be said in this dialect.
pub fn request_body(request: &ChatRequest, target: &Target) -> Result<Map<String, Value>, Failure> {
    let form = Form::of(request, target);
    let mut thinking = Thinking::of(request, target)?;
    if target.params.modify_params && thinking.is_on() && lacks_thoughts(request) {
        thinking = Thinking::default();
    }
    let conversation = Conversation::write(&request.messages)?;
    let mut out = Map::new();
    out.insert("messages".to_owned(), conversation.messages.into());
    if !conversation.system.is_empty() {
        out.insert("system".to_owned(), conversation.system.into());
    }
    out.insert("max_tokens".to_owned(), thinking.max_tokens(request, target).into());
    sampling(request, &mut out);
    add_tools(request, target, &form, &thinking, &mut out)?;
    if let Form::Parameter(schema) = form {
        out.insert("output_format".to_owned(), json!({"type": "json_schema", "schema": schema}));
    }
    if let Some(user) = request.user.as_deref().filter(|user| !is_personal(user)) {
        out.insert("metadata".to_owned(), json!({ "user_id": user }));
    }
    add_extras(request, &mut out);
    add_thinking(thinking, &mut out);
    Ok(out)
}

fn sampling(request: &ChatRequest, out: &mut Map<String, Value>) {
    if let Some(temperature) = &request.temperature {
        out.insert("temperature".to_owned(), Value::Number(temperature.clone()));
    }
    if let Some(top_p) = &request.top_p {
        out.insert("top_p".to_owned(), Value::Number(top_p.clone()));
    }
    if !request.stop.is_empty() {
        out.insert("stop_sequences".to_owned(), request.stop.clone().into());
    }
}

fn add_tools(
    request: &ChatRequest,
    target: &Target,
    form: &Form,
    thinking: &Thinking,
    out: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let offered = Offered::of(request, form)?;
    let choice = match form {
        // A model that thinks, and some of the newest, must not be forced; it calls the one tool by itself.
        Form::Tool { .. } if thinking.is_on() || target.facts.free_tool_choice => None,
        Form::Tool { .. } => Some(json!({"type": "tool", "name": structured::TOOL})),
        _ => tools::choice(request),
    };
    if let Some(choice) = choice.filter(|_| !offered.tools.is_empty()) {
        out.insert("tool_choice".to_owned(), choice);
    }
    if !offered.tools.is_empty() {
        out.insert("tools".to_owned(), offered.tools.into());
    }
    if !offered.servers.is_empty() {
        out.insert("mcp_servers".to_owned(), offered.servers.into());
    }
    Ok(())
}

/// Anthropic's own parameters, as the client wrote them.
fn add_extras(request: &ChatRequest, out: &mut Map<String, Value>) {
    for (name, value) in &request.extras {
        if !value.is_null() && !matches!(name.as_str(), "thinking" | "web_search_options") {
            out.entry(name.as_str()).or_insert_with(|| value.clone());
        }
    }
}

fn add_thinking(thinking: Thinking, out: &mut Map<String, Value>) {
    if let Some(parameter) = thinking.parameter {
        out.insert("thinking".to_owned(), parameter);
    }
    if let Some(effort) = thinking.effort
        && let Value::Object(config) = out.entry("output_config").or_insert_with(|| json!({}))
    {
        config.entry("effort").or_insert_with(|| effort.into());
    }
}

/// In the midst of calls a model that thinks wants to see the thoughts behind them; a client that did not keep them
/// cannot let it think on.
fn lacks_thoughts(request: &ChatRequest) -> bool {
    let mut turns = request.messages.iter().rev().skip_while(|message| message.role == Role::Tool);
    let answers_calls = request.messages.last().is_some_and(|message| message.role == Role::Tool);
    let is_thought =
        |part: &Part| matches!(part, Part::Thinking { signature: Some(_), .. } | Part::RedactedThinking { .. });
    answers_calls && turns.next().is_some_and(|message| !message.parts.iter().any(is_thought))
}

/// Anthropic refuses mail addresses and telephone numbers as names of users.
fn is_personal(user: &str) -> bool {
    let is_mail = user.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && !user.contains(char::is_whitespace) && host.contains('.') && !host.contains('@')
    });
    let digits = user.strip_prefix('+').unwrap_or(user);
    let dials = |letter: char| letter.is_ascii_digit() || letter.is_whitespace() || matches!(letter, '(' | ')' | '-');
    is_mail || (digits.chars().count() >= 7 && digits.chars().all(dials))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persons_are_not_told() {
        for user in ["ann@example.com", "+49 (30) 123-456", "1234567"] {
            assert!(is_personal(user), "{user}");
        }
        for user in ["user-77", "ann@host", "123456", "a@b c.d", ""] {
            assert!(!is_personal(user), "{user}");
        }
    }
}

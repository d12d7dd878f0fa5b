//! What of a request in Anthropic's words other providers do not take: said otherwise, left out, or refused.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatRequest, Extras, Message, Part, ResponseFormat, Tool},
};

use super::front_blocks::DIALECT;
use crate::{
    codec::Words,
    params::{self, CallParams},
    target::Target,
};

/// Parameters that are for Claude alone, and that nobody misses elsewhere.
const CLAUDES: &[&str] = &[
    "betas",
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "mcp_servers",
    "output_config",
    "service_tier",
    "speed",
];
/// Longest name of a user that `OpenAI` takes, letters.
const LONGEST_USER: usize = 64;

/// Makes the request one that the target takes.
///
/// # Errors
/// `UnsupportedParams` for what the provider does not take and nobody allowed to drop.
pub(super) fn fit(request: &mut ChatRequest, target: &Target, words: Words, call: &CallParams) -> Result<(), Failure> {
    if matches!(words, Words::AnthropicMessages | Words::AnthropicComplete) {
        return Ok(());
    }
    think(request, target);
    for name in CLAUDES {
        request.extras.remove(*name);
    }
    clean(&mut request.messages, words);
    let drops = call.drop_params.unwrap_or(target.params.drop_params);
    fit_tools(request, target, words, drops)?;
    let allowed = |name: &str| {
        params::takes(target, name)
            || target.params.allowed_openai_params.iter().chain(&call.allowed_openai_params).any(|ok| ok == name)
    };
    refuse(request, target, drops, &allowed)?;
    if matches!(words, Words::OpenAiChat | Words::OpenAiCompletions | Words::OpenAiResponses) {
        openais(request, target, words);
    }
    Ok(())
}

/// A budget where budgets are known, else an effort, else nothing: clients that let Claude think do not insist.
fn think(request: &mut ChatRequest, target: &Target) {
    let effort = request.extras.get("output_config").and_then(|config| config.get("effort")).and_then(Value::as_str);
    let effort = effort.map(|word| if word == "max" { strongest(target) } else { word }.to_owned());
    let Some(thinking) = request.extras.get("thinking") else {
        request.reasoning_effort = request.reasoning_effort.take().or(effort);
        return drop_effort(request, target);
    };
    let kind = thinking.get("type").and_then(Value::as_str).unwrap_or_default();
    let budget = thinking.get("budget_tokens").and_then(Value::as_u64);
    if kind == "enabled" && budget.is_some() && params::takes(target, "thinking") {
        return;
    }
    // The bounds are `LiteLLM`'s, tokens.
    let by_budget = match budget.unwrap_or_default() {
        4096.. => "high",
        2048.. => "medium",
        1024.. => "low",
        _ => "minimal",
    };
    let word = match kind {
        "enabled" => Some(effort.unwrap_or_else(|| by_budget.to_owned())),
        "adaptive" => Some(effort.unwrap_or_else(|| "medium".to_owned())),
        // Models that think unasked must be told not to, in the word that the provider knows.
        "disabled" if params::takes(target, "thinking") => {
            if !params::takes(target, "reasoning_effort") {
                return;
            }
            Some("none".to_owned())
        }
        _ => None,
    };
    request.extras.remove("thinking");
    request.reasoning_effort = request.reasoning_effort.take().or(word);
    drop_effort(request, target);
}

fn strongest(target: &Target) -> &'static str {
    if target.facts.xhigh_effort { "xhigh" } else { "high" }
}

fn drop_effort(request: &mut ChatRequest, target: &Target) {
    if !params::takes(target, "reasoning_effort") {
        request.reasoning_effort = None;
    }
}

/// Takes out what other dialects have no words for.
fn clean(messages: &mut Vec<Message>, words: Words) {
    for message in messages.iter_mut() {
        clean_parts(&mut message.parts, words);
    }
    messages.retain(|message| !message.parts.is_empty());
}

fn clean_parts(parts: &mut Vec<Part>, words: Words) {
    parts.retain(|part| !matches!(part, Part::Opaque { dialect, .. } if *dialect == DIALECT));
    for part in parts {
        match part {
            Part::Text { extras, .. } | Part::Image { extras, .. } | Part::Document { extras, .. } => {
                keep_known(extras, words);
            }
            Part::ToolCall(call) => keep_known(&mut call.extras, words),
            Part::ToolResult { parts, extras, .. } => {
                keep_known(extras, words);
                clean_parts(parts, words);
            }
            _ => {}
        }
    }
}

fn keep_known(extras: &mut Extras, words: Words) {
    extras.retain(|name, _| match name.as_str() {
        // Rows that do not know the marks take them out of chats.
        "cache_control" => words != Words::OpenAiResponses,
        "type" => words == Words::OpenAiChat,
        "provider_specific_fields" => true,
        _ => false,
    });
}

/// A search is something that others do as well; the other tools of Anthropic's own only Claude can use.
fn fit_tools(request: &mut ChatRequest, target: &Target, words: Words, drops: bool) -> Result<(), Failure> {
    let mut kept = Vec::with_capacity(request.tools.len());
    for mut tool in std::mem::take(&mut request.tools) {
        let kind = match &mut tool {
            Tool::Function { extras, .. } => {
                extras.retain(|name, _| name == "cache_control" && words != Words::OpenAiResponses);
                kept.push(tool);
                continue;
            }
            Tool::Native(raw) => raw.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        if kind.starts_with("web_search_") {
            if words == Words::OpenAiResponses {
                kept.push(tool);
            } else if params::takes(target, "web_search_options") {
                request.extras.insert("web_search_options".to_owned(), json!({}));
            }
        } else if !drops {
            let words = format!("tools: '{kind}' is a tool of Claude's, which {} does not have", target.model);
            return Err(Failure::invalid(words).with_param("tools"));
        }
    }
    request.tools = kept;
    if request.tools.is_empty() {
        request.tool_choice = None;
        request.parallel_tool_calls = None;
    }
    Ok(())
}

fn refuse(
    request: &mut ChatRequest,
    target: &Target,
    drops: bool,
    takes: &dyn Fn(&str) -> bool,
) -> Result<(), Failure> {
    // What nobody misses goes without a word.
    if !takes("user") {
        request.user = None;
    }
    if !takes("parallel_tool_calls") {
        request.parallel_tool_calls = None;
    }
    let asked = [
        ("temperature", request.temperature.is_some()),
        ("top_p", request.top_p.is_some()),
        ("stop", !request.stop.is_empty()),
        ("tools", !request.tools.is_empty()),
        ("tool_choice", request.tool_choice.is_some()),
        ("response_format", request.response_format.is_some()),
    ];
    let refused: Vec<String> =
        asked.into_iter().filter(|(name, asked)| *asked && !takes(name)).map(|(name, _)| name.to_owned()).collect();
    if refused.is_empty() {
        return Ok(());
    }
    if !drops {
        return Err(params::unsupported(target, &refused));
    }
    for name in &refused {
        match name.as_str() {
            "temperature" => request.temperature = None,
            "top_p" => request.top_p = None,
            "stop" => request.stop.clear(),
            "tools" => request.tools.clear(),
            "tool_choice" => request.tool_choice = None,
            _ => request.response_format = None,
        }
    }
    Ok(())
}

/// What goes for everyone who speaks `OpenAI`'s words.
fn openais(request: &mut ChatRequest, target: &Target, words: Words) {
    if let Some(user) = &mut request.user
        && let Some((end, _)) = user.char_indices().nth(LONGEST_USER)
    {
        user.truncate(end);
    }
    if words == Words::OpenAiResponses || matches!(target.provider.name, "openai" | "azure") {
        request.extras.remove("top_k");
    }
    if words == Words::OpenAiChat && request.stream {
        // Claude's clients are always told what a stream used.
        request.extras.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    if words == Words::OpenAiResponses {
        // Thoughts can then be returned in a later turn, although the provider stores nothing.
        request.extras.insert("include".to_owned(), json!(["reasoning.encrypted_content"]));
    }
    if let Some(ResponseFormat::JsonSchema { schema, strict: Some(true), .. }) = &mut request.response_format {
        close(schema);
    }
}

/// Makes a schema one that `OpenAI` takes as strict: objects are closed, and all their members required.
fn close(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if let (true, Some(Value::Object(properties))) =
        (members.get("type").is_some_and(|kind| kind == "object"), members.get("properties"))
    {
        let names: Vec<Value> = properties.keys().map(|name| name.as_str().into()).collect();
        members.insert("additionalProperties".to_owned(), Value::Bool(false));
        members.insert("required".to_owned(), names.into());
    }
    for name in ["properties", "$defs", "definitions"] {
        if let Some(Value::Object(inner)) = members.get_mut(name) {
            Map::values_mut(inner).for_each(close);
        }
    }
    for name in ["items", "anyOf", "allOf", "oneOf"] {
        match members.get_mut(name) {
            Some(Value::Array(inner)) => inner.iter_mut().for_each(close),
            Some(inner) => close(inner),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_schema_requires_what_it_names() {
        let mut schema = json!({"type": "object", "properties": {"a": {"type": "string"},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": {}}}}}});
        close(&mut schema);
        assert_eq!(schema["required"], json!(["a", "b"]));
        assert_eq!(schema["properties"]["b"]["items"]["additionalProperties"], false);
    }
}

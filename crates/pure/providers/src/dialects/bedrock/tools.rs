//! Tools on offer in Converse's words, and which must be called.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatRequest, Tool, ToolChoice},
};

use super::{blocks, names};
use crate::{
    dialects::anthropic::{
        native_tools,
        structured::{self, Form},
    },
    target::Target,
};

/// The tools of a request.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub(super) tools: Vec<Value>,
    /// Anthropic's own, which go to Claude past Converse, and the features that they need.
    pub(super) natives: Vec<Value>,
    pub(super) features: Vec<&'static str>,
}

impl Offered {
    /// # Errors
    /// When a tool has neither a name nor a type.
    pub(super) fn of(request: &ChatRequest, form: &Form, target: &Target) -> Result<Self, Failure> {
        let mut offered = Self::default();
        if let Form::Tool { schema, .. } = form {
            offered.tools.push(spec(structured::TOOL, None, Some(schema), target));
        }
        if request.tool_choice == Some(ToolChoice::None) {
            // Converse has no word for it; what is not offered is not called.
            return Ok(offered);
        }
        for tool in &request.tools {
            match tool {
                Tool::Function { name, description, parameters, strict, extras } => {
                    let mut tool = spec(name, description.as_deref(), parameters.as_ref(), target);
                    // The other families refuse the word.
                    if names::reads_strict_tools(target)
                        && let (Some(true), Some(spec)) =
                            (strict, tool.get_mut("toolSpec").and_then(Value::as_object_mut))
                    {
                        spec.insert("strict".to_owned(), true.into());
                    }
                    offered.tools.push(tool);
                    offered.tools.extend(blocks::cache_point(extras, target));
                }
                Tool::Native(raw) => offered.native(raw, target)?,
            }
        }
        if request.extra("web_search_options").is_some() && names::is_nova(target) {
            offered.tools.push(json!({"systemTool": {"name": "nova_grounding"}}));
        }
        Ok(offered)
    }

    fn native(&mut self, raw: &Value, target: &Target) -> Result<(), Failure> {
        if ["toolSpec", "cachePoint", "systemTool"].iter().any(|name| raw.get(name).is_some()) {
            self.tools.push(raw.clone());
            return Ok(());
        }
        let (mut tools, features) = native_tools(raw, target)?;
        self.features.extend(features);
        for tool in tools.drain(..) {
            let text = |name: &str| tool.get(name).and_then(Value::as_str);
            match (text("name"), tool.get("input_schema")) {
                (Some(name), Some(schema)) => self.tools.push(spec(name, text("description"), Some(schema), target)),
                _ => self.natives.push(tool),
            }
        }
        Ok(())
    }
}

fn spec(name: &str, description: Option<&str>, schema: Option<&Value>, target: &Target) -> Value {
    let mut schema = schema.cloned().unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    if let Some(members) = schema.as_object_mut() {
        members.entry("type").or_insert_with(|| "object".into());
        // Some models stumble over schemas that leave it out.
        members.entry("required").or_insert_with(|| json!([]));
    }
    if !names::reads_strict_tools(target) {
        without_closed_objects(&mut schema, 0);
    }
    let mut spec = Map::new();
    spec.insert("inputSchema".to_owned(), json!({ "json": schema }));
    spec.insert("name".to_owned(), names::tool(name).into());
    // Bedrock refuses an empty one.
    let description = description.filter(|description| !description.is_empty()).unwrap_or(name);
    spec.insert("description".to_owned(), description.into());
    json!({ "toolSpec": spec })
}

/// How deep schemas are followed.
const DEEPEST: usize = 32;

/// The other families refuse schemas that close their objects (`additionalProperties: false`).
fn without_closed_objects(schema: &mut Value, depth: usize) {
    if depth >= DEEPEST {
        return;
    }
    match schema {
        Value::Object(members) => {
            if members.get("additionalProperties").is_some_and(Value::is_boolean) {
                members.shift_remove("additionalProperties");
            }
            members.values_mut().for_each(|member| without_closed_objects(member, depth + 1));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_closed_objects(item, depth + 1)),
        _ => {}
    }
}

/// Which tool must be called.
pub(super) fn choice(request: &ChatRequest) -> Option<Value> {
    match request.tool_choice.as_ref()? {
        ToolChoice::None => None,
        ToolChoice::Auto => Some(json!({"auto": {}})),
        ToolChoice::Required => Some(json!({"any": {}})),
        ToolChoice::Named(name) => Some(json!({"tool": {"name": names::tool(name)}})),
    }
}

/// That only one call may be made at a time, as Claude is told past Converse.
pub(super) fn one_at_a_time(request: &ChatRequest, thinks: bool) -> Option<Value> {
    if request.parallel_tool_calls != Some(false) {
        return None;
    }
    let mut choice = match request.tool_choice.as_ref() {
        Some(ToolChoice::None) => return None,
        // A model that thinks must not be forced.
        Some(_) if thinks => json!({"type": "auto"}),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": names::tool(name)}),
        Some(ToolChoice::Auto) | None => json!({"type": "auto"}),
    };
    choice.as_object_mut()?.insert("disable_parallel_tool_use".to_owned(), true.into());
    Some(choice)
}

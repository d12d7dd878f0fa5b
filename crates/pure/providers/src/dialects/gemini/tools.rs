//! Tools as Gemini has them: functions together in one, each of Google's own apart.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatRequest, Tool, ToolChoice},
};

use super::schema;
use crate::target::Target;

/// Google's own tools in the order in which they go out: the name that Google reads, and the names that clients use.
const NATIVE: &[(&str, &[&str])] = &[
    ("googleSearch", &["googleSearch", "google_search"]),
    ("googleSearchRetrieval", &["googleSearchRetrieval", "google_search_retrieval"]),
    ("enterpriseWebSearch", &["enterpriseWebSearch", "enterprise_web_search"]),
    ("code_execution", &["code_execution", "codeExecution"]),
    ("url_context", &["url_context", "urlContext"]),
    ("googleMaps", &["googleMaps", "google_maps"]),
    ("computerUse", &["computerUse", "computer_use"]),
    ("fileSearch", &["fileSearch", "file_search"]),
    ("retrieval", &["retrieval"]),
];
/// Those that search; Google refuses them beside functions.
const SEARCHES: &[&str] = &["googleSearch", "googleSearchRetrieval", "enterpriseWebSearch", "url_context"];

/// What goes out of a request's tools.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub(super) tools: Vec<Value>,
    /// `toolConfig`.
    pub(super) config: Map<String, Value>,
}

/// # Errors
/// When calls are to come one at a time, which Gemini cannot promise.
pub(super) fn offered(request: &ChatRequest, target: &Target) -> Result<Offered, Failure> {
    let mut functions = Vec::new();
    let mut native: Map<String, Value> = Map::new();
    let mut config = Map::new();
    for tool in &request.tools {
        match tool {
            Tool::Function { name, description, parameters, .. } => {
                functions.push(declaration(name, description.as_deref(), parameters.as_ref()));
            }
            Tool::Native(raw) => read_native(raw, &mut native, &mut config),
        }
    }
    if request.extra("web_search_options").is_some() {
        native.insert("googleSearch".to_owned(), json!({}));
    }
    if request.parallel_tool_calls == Some(false) && functions.len() > 1 && !target.params.drop_params {
        let words = "`parallel_tool_calls=False` is not supported by Gemini when multiple tools are provided. Specify a \
                     single tool, or set `parallel_tool_calls=True`. To drop it, set `drop_params: true`";
        return Err(Failure::new(FailureKind::UnsupportedParams, words).with_param("parallel_tool_calls"));
    }
    let mut tools = Vec::new();
    if !functions.is_empty() {
        native.retain(|name, _| !SEARCHES.contains(&name.as_str()));
        tools.push(json!({ "function_declarations": functions }));
    }
    for (name, _) in NATIVE {
        if let Some(settings) = native.shift_remove(*name) {
            tools.push(Value::Object(Map::from_iter([((*name).to_owned(), settings)])));
        }
    }
    if let Some(choice) = &request.tool_choice {
        config.insert("functionCallingConfig".to_owned(), choose(choice));
    }
    Ok(Offered { tools, config })
}

fn declaration(name: &str, description: Option<&str>, parameters: Option<&Value>) -> Value {
    let mut out = Map::from_iter([("name".to_owned(), name.into())]);
    if let Some(description) = description {
        out.insert("description".to_owned(), description.into());
    }
    if let Some(parameters) = parameters.filter(|parameters| parameters.is_object()) {
        out.insert("parameters".to_owned(), schema::plain(parameters, false));
    }
    out.into()
}

fn read_native(raw: &Value, native: &mut Map<String, Value>, config: &mut Map<String, Value>) {
    let Some(members) = raw.as_object() else { return };
    let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
    if matches!(kind, "web_search" | "web_search_preview") || kind.starts_with("web_search_2") {
        native.insert("googleSearch".to_owned(), json!({}));
        return;
    }
    if matches!(kind, "computer_use") {
        let settings = members.iter().filter(|(name, _)| *name != "type");
        native.insert("computerUse".to_owned(), computer(settings));
        return;
    }
    for (name, spellings) in NATIVE {
        let Some(settings) = spellings.iter().find_map(|spelling| members.get(*spelling)) else { continue };
        let settings = match (*name, settings) {
            (_, Value::Null) => json!({}),
            ("computerUse", Value::Object(settings)) => computer(settings.iter()),
            ("googleMaps", Value::Object(settings)) => map_search(settings, config),
            (_, other) => other.clone(),
        };
        native.insert((*name).to_owned(), settings);
    }
}

/// Google's spelling of what clients say about the computer to be used.
fn computer<'v>(settings: impl Iterator<Item = (&'v String, &'v Value)>) -> Value {
    let mut out = Map::new();
    for (name, value) in settings {
        match (name.as_str(), value.as_str()) {
            ("environment", Some("browser")) => out.insert(name.clone(), "ENVIRONMENT_BROWSER".into()),
            ("environment", Some("unspecified")) => out.insert(name.clone(), "ENVIRONMENT_UNSPECIFIED".into()),
            ("excluded_predefined_functions", _) => out.insert("excludedPredefinedFunctions".to_owned(), value.clone()),
            _ => out.insert(name.clone(), value.clone()),
        };
    }
    out.into()
}

/// Where the person is stands in `toolConfig`, not in the tool.
fn map_search(settings: &Map<String, Value>, config: &mut Map<String, Value>) -> Value {
    let mut settings = settings.clone();
    let (latitude, longitude) = (settings.shift_remove("latitude"), settings.shift_remove("longitude"));
    let language = settings.shift_remove("languageCode");
    if let (Some(latitude), Some(longitude)) = (latitude, longitude) {
        let mut place = json!({"latLng": {"latitude": latitude, "longitude": longitude}});
        if let (Some(place), Some(language)) = (place.as_object_mut(), language) {
            place.insert("languageCode".to_owned(), language);
        }
        config.insert("retrievalConfig".to_owned(), place);
    }
    settings.into()
}

fn choose(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Named(name) => json!({"mode": "ANY", "allowed_function_names": [name]}),
    }
}

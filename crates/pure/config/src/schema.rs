//! The JSON schema of the configuration, for editors: made from the table of keys.

use serde_json::{Map, Value, json};

use crate::keys::{Family, Kind, Section, State, TOP, Unknown};

/// The JSON schema (2020-12) of a configuration file.
///
/// It knows what the check knows: quoted numbers and flags, empty values, `os.environ/NAME` anywhere.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut root = object(&TOP, &mut definitions);
    if let Value::Object(root) = &mut root {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".to_owned(), json!("Tollgate configuration"));
        root.insert("$defs".to_owned(), Value::Object(definitions));
    }
    root
}

fn object(section: &'static Section, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in section.keys {
        let mut about = described(key.about, key.state);
        if !key.default.is_empty() {
            about = format!("{about} Default: {}.", key.default);
        }
        properties.insert(key.name.to_owned(), value(key.kind, &about, definitions));
    }
    for group in section.groups {
        for name in group.names {
            properties.insert((*name).to_owned(), value(group.kind, &described(group.about, group.state), definitions));
        }
    }
    let mut patterns = Map::new();
    for family in section.families {
        patterns.insert(pattern(family), value(family.kind, &described(family.about, family.state), definitions));
    }
    json!({
        "type": ["object", "null"],
        "description": section.about,
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": section.unknown == Unknown::Keep,
    })
}

fn described(about: &str, state: State) -> String {
    match state.mark() {
        "" => about.to_owned(),
        mark => format!("{about} ({mark})"),
    }
}

fn pattern(family: &Family) -> String {
    format!("^{}.+{}$", family.prefix, family.suffix)
}

/// A number, flag or time may be quoted, or stand in the environment: then it is a text of this pattern.
fn or_text(kind: &str, pattern: &str) -> Value {
    json!({ "type": [kind, "string", "null"], "pattern": format!("^(os\\.environ/.+|{pattern})$") })
}

fn value(kind: Kind, about: &str, definitions: &mut Map<String, Value>) -> Value {
    let text = json!(["string", "number", "null"]);
    let counts = || json!({ "type": ["object", "null"], "additionalProperties": or_text("integer", "[0-9_]+") });
    let mut schema = match kind {
        Kind::Text | Kind::Secret => json!({ "type": text }),
        Kind::Choice(names) => json!({
            "type": ["string", "null"],
            "pattern": format!("^(os\\.environ/.+|{})$", names.join("|")),
        }),
        Kind::Flag => or_text("boolean", "[Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|[Nn]o|[Oo]n|[Oo]ff|0|1"),
        Kind::Whole => or_text("integer", "[0-9_]+(\\.0*)?"),
        Kind::Number => or_text("number", "[+]?[0-9_.]+([eE][-+]?[0-9]+)?"),
        Kind::Seconds => or_text("number", "[0-9.]+ ?(s|sec|m|min|h|d|w|mo)?"),
        Kind::Texts => json!({ "type": ["array", "string", "number", "null"], "items": { "type": text } }),
        Kind::TextMap => json!({
            "type": ["object", "null"],
            "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
        }),
        Kind::Aliases => json!({
            "type": ["object", "null"],
            "additionalProperties": { "type": ["string", "object"], "required": ["model"] },
        }),
        Kind::Fallbacks => json!({
            "type": ["array", "null"],
            "items": {
                "type": ["object", "null"],
                "additionalProperties": { "type": "array", "items": { "type": ["string", "object"], "required": ["model"] } },
            },
        }),
        Kind::Counts => counts(),
        Kind::CountsByName => json!({ "type": ["object", "null"], "additionalProperties": counts() }),
        Kind::Budgets => json!({
            "type": ["object", "null"],
            "additionalProperties": {
                "type": ["object", "null"],
                "properties": {
                    "max_budget": or_text("number", "[+]?[0-9_.]+([eE][-+]?[0-9]+)?"),
                    "budget_duration": or_text("number", "[0-9.]+ ?(s|sec|m|min|h|d|w|mo)?"),
                },
            },
        }),
        Kind::List => json!({ "type": ["array", "null"] }),
        Kind::Map => json!({ "type": ["object", "null"] }),
        Kind::Any => json!({}),
        Kind::Section(section) => json!({ "$ref": define(section, definitions) }),
        Kind::Each(section) => json!({ "type": ["array", "null"], "items": { "$ref": define(section, definitions) } }),
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), json!(about));
    }
    schema
}

/// Puts `section` among the definitions and says how to refer to it.
fn define(section: &'static Section, definitions: &mut Map<String, Value>) -> String {
    let name = section.name.replace("[]", "");
    if !definitions.contains_key(&name) {
        let defined = object(section, definitions);
        definitions.insert(name.clone(), defined);
    }
    format!("#/$defs/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_schema_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let schema = schema();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(found.len() >= 8, "{found:?}");
        for reference in found {
            let name = reference.strip_prefix("#/$defs/").expect("a local reference");
            assert!(schema["$defs"][name]["properties"].is_object(), "{reference}");
        }
    }

    #[test]
    fn no_type_is_named_twice() {
        fn look(value: &Value) {
            if let Some(types) = value.get("type").and_then(Value::as_array) {
                let names: std::collections::BTreeSet<_> = types.iter().filter_map(Value::as_str).collect();
                assert_eq!(names.len(), types.len(), "{value}");
            }
            match value {
                Value::Object(map) => map.values().for_each(look),
                Value::Array(items) => items.iter().for_each(look),
                _ => {}
            }
        }
        look(&schema());
    }

    #[test]
    fn the_schema_knows_types_families_and_openness() {
        let schema = schema();
        let params = &schema["$defs"]["model_list.litellm_params"];
        assert_eq!(params["properties"]["rpm"]["type"], json!(["integer", "string", "null"]));
        assert_eq!(params["additionalProperties"], json!(true));
        assert!(params["patternProperties"]["^aws_.+$"].is_object());
        assert!(params["properties"]["input_cost_per_token"].is_object());
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["model_list"]["items"]["$ref"], json!("#/$defs/model_list"));
        let cache = &schema["$defs"]["litellm_settings"]["properties"]["cache_params"]["description"];
        assert!(cache.as_str().unwrap().contains("not yet used"), "{cache}");
        let fallbacks = &schema["$defs"]["litellm_settings"]["properties"]["fallbacks"]["items"];
        assert_eq!(fallbacks["additionalProperties"]["type"], json!("array"));
    }
}

//! JSON schemas as Google's older parameter has them: a subset of `OpenAPI`, without references and unions with null
//! («Schema» of the Gemini API). The newer parameter takes JSON schemas as they are.

use serde_json::{Map, Value, json};

/// How deep schemas are followed; deeper ones, and those that hold themselves, end in an object of any shape.
const DEEPEST: usize = 24;
/// Most schemas that one may become when its references are written out.
const MOST: usize = 5_000;

/// What Google's schemas may hold. What else JSON schemas say (`additionalProperties`, `default`, …) is refused there.
const KNOWN: &[&str] = &[
    "type",
    "title",
    "description",
    "enum",
    "required",
    "nullable",
    "propertyOrdering",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "pattern",
];

/// The schema without what Google refuses; `ordered` adds the order of an object's members, which answers then keep.
pub(super) fn plain(schema: &Value, ordered: bool) -> Value {
    let definitions = ["$defs", "definitions"].iter().filter_map(|name| schema.get(name)?.as_object());
    let mut writer = Writer { definitions: definitions.collect(), ordered, left: MOST };
    writer.write(schema, 0)
}

struct Writer<'s> {
    definitions: Vec<&'s Map<String, Value>>,
    ordered: bool,
    left: usize,
}

impl<'s> Writer<'s> {
    fn write(&mut self, schema: &'s Value, depth: usize) -> Value {
        self.left = self.left.saturating_sub(1);
        let Some(members) = self.resolved(schema).as_object() else { return json!({"type": "object"}) };
        if depth >= DEEPEST || self.left == 0 || members.contains_key("$ref") {
            return json!({"type": "object"});
        }
        let mut out = Map::new();
        for (name, value) in members {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("type", Value::Array(types)) => write_types(types, &mut out),
                ("format", Value::String(format)) if matches!(format.as_str(), "enum" | "date-time") => {
                    out.insert(name.clone(), value.clone());
                }
                ("properties", Value::Object(properties)) => self.write_properties(properties, depth, &mut out),
                ("items", items) => {
                    let items = if items.as_object().is_some_and(Map::is_empty) {
                        json!({"type": "object"})
                    } else {
                        self.write(items, depth + 1)
                    };
                    out.insert(name.clone(), items);
                }
                ("anyOf" | "oneOf", Value::Array(options)) => self.write_union(options, depth, &mut out),
                ("const", only) => {
                    out.insert("enum".to_owned(), json!([only]));
                }
                (known, value) if KNOWN.contains(&known) => {
                    out.insert(name.clone(), value.clone());
                }
                _ => {}
            }
        }
        only_texts_are_listed(&mut out);
        if let (true, Some(Value::Object(properties))) = (self.ordered, members.get("properties")) {
            out.entry("propertyOrdering").or_insert_with(|| properties.keys().cloned().collect());
        }
        out.into()
    }

    fn resolved(&self, schema: &'s Value) -> &'s Value {
        let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) else {
            return schema;
        };
        self.definitions.iter().find_map(|definitions| definitions.get(name)).unwrap_or(schema)
    }

    fn write_properties(&mut self, properties: &'s Map<String, Value>, depth: usize, out: &mut Map<String, Value>) {
        let written: Map<String, Value> =
            properties.iter().map(|(name, schema)| (name.clone(), self.write(schema, depth + 1))).collect();
        out.insert("type".to_owned(), "object".into());
        // Google refuses an empty list of properties.
        if !written.is_empty() {
            out.insert("properties".to_owned(), written.into());
        }
    }

    /// A union with null is said by `nullable`.
    fn write_union(&mut self, options: &'s [Value], depth: usize, out: &mut Map<String, Value>) {
        let is_null = |option: &Value| option.get("type").and_then(Value::as_str) == Some("null");
        let nullable = options.iter().any(is_null);
        let mut written: Vec<Value> =
            options.iter().filter(|option| !is_null(option)).map(|option| self.write(option, depth + 1)).collect();
        if nullable {
            for option in written.iter_mut().filter_map(Value::as_object_mut) {
                option.insert("nullable".to_owned(), Value::Bool(true));
            }
        }
        out.insert("anyOf".to_owned(), written.drain(..).collect());
    }
}

/// A list of types: one of them, `nullable` where null is among them, a union where there are several.
fn write_types(types: &[Value], out: &mut Map<String, Value>) {
    let named: Vec<&Value> = types.iter().filter(|kind| kind.as_str() != Some("null")).collect();
    match named.as_slice() {
        [] => {}
        [only] => {
            out.insert("type".to_owned(), (*only).clone());
        }
        several => {
            out.insert("anyOf".to_owned(), several.iter().map(|kind| json!({ "type": kind })).collect());
        }
    }
    if named.len() < types.len() {
        out.insert("nullable".to_owned(), Value::Bool(true));
    }
}

/// Google lists values of texts only, and no empty ones.
fn only_texts_are_listed(schema: &mut Map<String, Value>) {
    let is_text = schema.get("type").and_then(Value::as_str).is_none_or(|kind| kind.eq_ignore_ascii_case("string"));
    let Some(Value::Array(values)) = schema.get_mut("enum") else { return };
    values.retain(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    if !is_text || values.is_empty() {
        schema.shift_remove("enum");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &Value, expected: &Value) {
        assert_eq!(&plain(schema, false), expected);
    }

    #[test]
    fn what_google_refuses_is_left_out() {
        check(
            &json!({"$schema": "x", "type": "object", "additionalProperties": false, "properties":
                {"n": {"type": "integer", "default": 3, "format": "int32", "enum": [1, 2]}, "when":
                {"type": "string", "format": "date-time"}, "word": {"type": "string", "enum": ["a", ""]}}}),
            &json!({"type": "object", "properties": {"n": {"type": "integer"}, "when":
                {"type": "string", "format": "date-time"}, "word": {"type": "string", "enum": ["a"]}}}),
        );
    }

    #[test]
    fn references_are_written_out_and_a_circle_ends() {
        check(
            &json!({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}),
            &json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        );
        let circle = json!({"$ref": "#/$defs/N", "$defs": {"N": {"properties":
            {"left": {"$ref": "#/$defs/N"}, "right": {"$ref": "#/$defs/N"}}}}});
        assert!(plain(&circle, true).to_string().len() < 1 << 20);
        check(&json!({"$ref": "#/$defs/nowhere"}), &json!({"type": "object"}));
    }

    #[test]
    fn null_becomes_nullable() {
        check(
            &json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            &json!({"anyOf": [{"type": "string", "nullable": true}]}),
        );
        check(&json!({"type": ["integer", "null"]}), &json!({"type": "integer", "nullable": true}));
        check(&json!({"type": ["integer", "string"]}), &json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}));
    }

    #[test]
    fn members_keep_their_order() {
        assert_eq!(
            plain(&json!({"properties": {"b": {"type": "string"}, "a": {"type": "string"}}}), true)["propertyOrdering"],
            json!(["b", "a"])
        );
    }
}

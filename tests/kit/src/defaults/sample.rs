//! A value that fits a JSON schema, for tool arguments and structured output.

use serde_json::{Map, Value, json};

/// The simplest value that the schema accepts; local references are followed.
pub(super) fn of(schema: &Value) -> Value {
    sample(schema, schema, 0)
}

fn sample(schema: &Value, root: &Value, depth: usize) -> Value {
    // A schema may refer to itself; deeper than any test goes there is nothing.
    if depth > 16 {
        return Value::Null;
    }
    let deeper = |inner: &Value| sample(inner, root, depth + 1);
    if let Some(target) = schema["$ref"].as_str().and_then(|path| root.pointer(path.trim_start_matches('#'))) {
        return deeper(target);
    }
    if let Some(value) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[*key].get(0)) {
        return deeper(first);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("string") => json!("sample"),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(7)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => json!([deeper(&schema["items"])]),
        _ => schema["properties"].as_object().map_or_else(
            || json!({}),
            |properties| {
                Value::Object(
                    properties.iter().map(|(name, inner)| (name.clone(), deeper(inner))).collect::<Map<_, _>>(),
                )
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_every_property_with_a_fitting_type() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["celsius", "fahrenheit"]},
                "days": {"type": "array", "items": {"$ref": "#/$defs/Day"}},
                "note": {"type": ["string", "null"]}
            },
            "$defs": {"Day": {"type": "object", "properties": {"number": {"type": "integer"}}}}
        });

        assert_eq!(
            of(&schema),
            json!({"city": "sample", "unit": "celsius", "days": [{"number": 7}], "note": "sample"})
        );
    }
}

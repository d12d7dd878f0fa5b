//! `explain`.

use serde_json::Value;

use crate::world::World;

const CONFIG: &str = "model_list:
  - {model_name: gpt, model_info: {id: one}, litellm_params: {model: openai/gpt-4o, api_key: sk-a-provider-key, tags: [paid]}}
  - {model_name: gpt, model_info: {id: two}, litellm_params: {model: openai/gpt-4o-mini, api_key: sk-a-provider-key, tags: [free]}}
router_settings: {enable_tag_filtering: true}
general_settings: {master_key: sk-master-0f1e2d3c}
";

#[test]
fn a_configuration_explains_where_a_call_would_go() {
    let world = World::new().file("config.yaml", CONFIG).file("body.json", r#"{"model": "gpt", "tags": ["free"]}"#);
    let ran = world.run("explain --config config.yaml --model gpt");
    let told: Value = serde_json::from_str(&ran.went_well().out).expect("JSON");
    assert_eq!(told["candidates"].as_array().map(Vec::len), Some(2), "{told}");
    assert!(told["candidates"].as_array().into_iter().flatten().all(|one| one["takes_it"] == true), "{told}");
    assert!(!ran.out.contains("sk-a-provider-key") && !ran.out.contains("sk-master"), "{}", ran.out);
    let ran = world.run("explain --config config.yaml --body body.json");
    let told: Value = serde_json::from_str(&ran.went_well().out).expect("JSON");
    let filters: Vec<&Value> = told["candidates"].as_array().into_iter().flatten().map(|one| &one["filter"]).collect();
    assert_eq!(filters, ["tags".into(), Value::Null].iter().collect::<Vec<_>>(), "{told}");
    assert_eq!(told["plan"][0]["deployment"], "two");
}

#[test]
fn a_model_that_is_not_there_is_refused() {
    let world = World::new().file("config.yaml", CONFIG);
    world.run("explain --config config.yaml --model other").refused_with(&["Invalid model name passed in model=other"]);
    world.run("explain --config config.yaml --body gone.json").refused_with(&["gone.json cannot be read"]);
}

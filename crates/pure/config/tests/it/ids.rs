//! Deployment ids (decision 17).

use crate::world::{check_with, config_of};

fn id(params: &str) -> String {
    config_of(&format!("model_list:\n  - model_name: a\n    litellm_params: {{model: openai/a, {params}}}\n")).models[0]
        .id
        .clone()
}

#[test]
fn an_id_is_64_hex_digits() {
    let id = id("api_key: sk-1");
    assert_eq!(id.len(), 64);
    assert!(id.chars().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()), "{id}");
}

#[test]
fn an_id_survives_a_change_of_keys_and_of_order() {
    let first = id("api_key: sk-1, api_base: http://x/, rpm: 3, headers: {x-key: a}");
    assert_eq!(first, id("rpm: 3, headers: {x-key: b}, api_base: http://x/, api_key: sk-2"));
    assert_eq!(id("aws_secret_access_key: a, aws_region_name: r"), id("aws_secret_access_key: b, aws_region_name: r"));
}

#[test]
fn a_different_target_has_a_different_id() {
    let first = id("api_base: http://x");
    assert_ne!(first, id("api_base: http://y"));
    assert_ne!(first, id("api_base: http://x, temperature: 0"));
    assert_ne!(id("aws_region_name: us-east-1"), id("aws_region_name: us-west-2"));
}

#[test]
fn entries_equal_but_for_their_keys_are_told_apart_and_keep_their_ids() {
    let entries = |keys: [&str; 2]| {
        let list: String = keys
            .iter()
            .map(|key| format!("  - {{model_name: a, litellm_params: {{model: openai/a, api_key: {key}}}}}\n"))
            .collect();
        let checked = check_with(&format!("model_list:\n{list}"), &[]);
        let config = checked.config.expect("no fatal finding");
        config.models.iter().map(|model| model.id.clone()).collect::<Vec<_>>()
    };
    let before = entries(["sk-1", "sk-2"]);
    assert_ne!(before[0], before[1]);
    assert_eq!(before, entries(["sk-3", "sk-4"]));
}

#[test]
fn the_id_of_model_info_wins() {
    let config =
        config_of("model_list:\n  - {model_name: a, litellm_params: {model: openai/a}, model_info: {id: 7}}\n");
    assert_eq!(config.models[0].id, "7");
}

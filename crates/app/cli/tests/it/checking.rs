//! `check` and `schema`.

use crate::world::World;

const TAB: &str = "model_list:\n  - model_name: my-free-tier\n    litellm_params:\n        model: openai/gpt-4\n        api_key: k\n\t- model_name: my-paid-tier\n    litellm_params:\n        model: gpt-4\n        api_key: my-api-key\n";
const INDENT: &str =
    "model_list:\n - model_name: gpt-3.5-turbo\n    litellm_params:\n      model: gpt-3.5-turbo\n      api_key: k\n";

#[test]
fn a_sound_configuration_is_praised() {
    let file = "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, api_key: k}\n";
    let world = World::new().file("config.yaml", file);
    for way in
        ["check --config config.yaml", "check config.yaml", "check -c config.yaml --strict", "-c config.yaml check"]
    {
        let ran = world.run(way);
        assert_eq!((ran.code, ran.out.as_str()), (0, "config.yaml: nothing to say against it\n"), "{way}: {}", ran.err);
    }
    world.run("--config config.yaml --validate_config").went_well();
}

#[test]
fn every_finding_is_printed_with_its_place() {
    let file = "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, api_key: os.environ/GONE}\nlitelm_settings: {}\nlitellm_settings: {cache_params: {}}\n";
    let ran = World::new().file("config.yaml", file).run("check --config config.yaml");
    assert_eq!(ran.code, 1);
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(
        lines[0].starts_with("config.yaml:3:48: unservable: model_list[0].litellm_params.api_key: GONE"),
        "{}",
        ran.out
    );
    assert!(lines[1].starts_with("config.yaml:4:1: warning: litelm_settings: unknown key"), "{}", ran.out);
    assert!(lines[2].starts_with("config.yaml:5:20: note: litellm_settings.cache_params: "), "{}", ran.out);
    assert_eq!(lines[3], "config.yaml: 1 unservable deployment, 1 warning, 1 note");
}

#[test]
fn an_unknown_provider_is_told_beside_a_fatal_finding() {
    let file = "model_list:\n  - model_name: a\n    litellm_params: {model: nosuch/a, api_key: k}\n  - model_name: b\n    litellm_params: {model: nosuch/b, mock_response: hi}\nrouter_settings: {num_retries: many}\n";
    let ran = World::new().file("config.yaml", file).run("check --config config.yaml");
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("config.yaml:3:") && ran.out.contains("'nosuch' is no provider"), "{}", ran.out);
    assert!(ran.out.contains("num_retries"), "{}", ran.out);
    assert_eq!(ran.out.matches("nosuch").count(), 2, "once, path and words, and nothing of the mock: {}", ran.out);
}

#[test]
fn strict_counts_warnings_as_errors() {
    let world = World::new().file("config.yaml", "litelm_settings: {}\n");
    assert_eq!(world.run("check --config config.yaml").code, 0);
    assert_eq!(world.run("check --config config.yaml --strict").code, 1);
}

#[test]
fn both_bad_samples_of_the_seeds_are_named_with_line_cause_and_correction() {
    let tab = World::new().file("config.yaml", TAB).run("check --config config.yaml");
    assert_eq!(tab.code, 1);
    assert!(tab.out.contains("config.yaml:6:") && tab.out.contains("tab"), "{}", tab.out);
    assert!(tab.out.contains("corrected, line 6 reads:\n  - model_name: my-paid-tier"), "{}", tab.out);
    let indent = World::new().file("config.yaml", INDENT).run("check --config config.yaml");
    assert_eq!(indent.code, 1);
    assert!(indent.out.contains("config.yaml:3:"), "{}", indent.out);
    assert!(indent.out.contains("corrected, line 3 reads:\n   litellm_params:"), "{}", indent.out);
}

#[test]
fn a_bad_sample_does_not_start_either() {
    let ran = World::new().file("config.yaml", TAB).run("--config config.yaml");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.starts_with("config.yaml:6:") && ran.err.contains("corrected, line 6 reads:"), "{}", ran.err);
}

#[test]
fn check_without_a_file_says_how_to_name_one() {
    World::new().run("check").refused_with(&["check --config <file>"]);
}

#[test]
fn the_schema_is_json_that_knows_the_keys() {
    let ran = World::new().run("schema");
    let schema: serde_json::Value = serde_json::from_str(&ran.went_well().out).expect("JSON");
    assert!(schema["properties"]["model_list"].is_object());
}

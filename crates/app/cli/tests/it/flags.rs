//! Flags, help, version, and what is refused.

use crate::world::World;

const MOCK: &str = "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, mock_response: hello}\n";

#[test]
fn help_is_grouped_and_shows_the_commands_of_the_seeds() {
    let help = World::new().run("--help");
    help.went_well();
    for part in [
        "Usage: tollgate",
        "Models:",
        "Listening:",
        "Accepted for compatibility, no effect:",
        "--add_function_to_prompt",
        "[env: PORT]",
        "[default: 8000]",
        "tollgate --model azure/gpt-deployment --api_version 2023-08-01",
        "--temperature 0.3 --max_tokens 2048 --drop_params",
        "tollgate --health",
    ] {
        assert!(help.out.contains(part), "no {part:?} in {}", help.out);
    }
    assert!(!help.out.contains("--add-function"), "{}", help.out);
}

#[test]
fn called_litellm_it_behaves_the_same_and_says_so() {
    let world = World::new().file("config.yaml", MOCK);
    let help = world.run_called("litellm", "--help");
    assert!(help.out.contains("Usage: litellm") && help.out.contains("  litellm --test"), "{}", help.out);
    world.run_called("litellm-2", "--config config.yaml --skip_server_startup").went_well();
}

#[test]
fn the_version_is_told_in_both_ways() {
    for flag in ["--version", "-v", "-version"] {
        let version = World::new().run(flag);
        version.went_well();
        let lines: Vec<_> = version.out.lines().collect();
        assert!(lines[0].starts_with("LiteLLM: Current Version = 1."), "{}", version.out);
        assert_eq!(lines[1], format!("tollgate {}", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn the_configuration_may_be_named_in_every_way() {
    let world = World::new().file("config.yaml", MOCK);
    let ways = ["--config config.yaml", "-config config.yaml", "-c config.yaml", "--config=config.yaml", "config.yaml"];
    for way in ways {
        let ran = world.run(&format!("{way} --skip_server_startup --telemetry False --run_gunicorn"));
        assert_eq!((ran.code, ran.err.contains("warning")), (0, false), "{way}: {}", ran.err);
    }
    let named = World::new().file("config.yaml", MOCK).environment("CONFIG_FILE_PATH", "config.yaml");
    assert!(!named.run("--skip_server_startup").went_well().err.contains("no models"));
}

#[test]
fn a_start_without_models_says_how_to_name_one() {
    let ran = World::new().run("--skip_server_startup");
    assert!(ran.went_well().err.contains("warning: no models; name one with --model"), "{}", ran.err);
}

#[test]
fn a_flag_without_effect_that_would_be_missed_is_answered() {
    let world = World::new().file("config.yaml", MOCK);
    let ran = world.run("--config config.yaml --skip_server_startup --use_queue --ciphers X");
    assert!(ran.went_well().err.contains("warning: --use_queue has no effect"), "{}", ran.err);
    assert!(ran.err.contains("warning: --ciphers has no effect"), "{}", ran.err);
}

#[test]
fn what_cannot_be_started_is_refused_in_one_line() {
    let world = World::new();
    world.run("--config gone.yaml").refused_with(&["error: there is no file gone.yaml", "--config"]);
    world.run("gone.yaml").refused_with(&["gone.yaml"]);
    world.run("--model nosuch/thing").refused_with(&["error: --model: LLM Provider NOT provided", "nosuch/thing"]);
    world.run("xai-oauth").refused_with(&["Unknown command: xai-oauth"]);
    world.run("--headers nonsense").refused_with(&["--headers wants JSON"]);
    let bad = World::new().file("config.yaml", "model_list: [\n");
    bad.run("--config config.yaml").refused_with(&["config.yaml:", ": error: "]);
    let bucket = World::new().environment("LITELLM_CONFIG_BUCKET_NAME", "b");
    bucket.run("").refused_with(&["LITELLM_CONFIG_BUCKET_NAME is set"]);
}

#[test]
fn an_unknown_flag_is_a_usage_error_with_the_nearest_one() {
    let ran = World::new().run("--modle x");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--model"), "{}", ran.err);
}

#[test]
fn a_start_shows_warnings_and_goes_on_unless_strict() {
    let file = "model_list:\n  - model_name: a\n    litellm_params: {model: nosuch/a}\nlitelm_settings: {}\n";
    let world = World::new().file("config.yaml", file);
    let ran = world.run("--config config.yaml --skip_server_startup");
    assert!(ran.went_well().err.contains("config.yaml:3:29: unservable: "), "{}", ran.err);
    assert!(ran.err.contains("config.yaml:4:1: warning: litelm_settings: unknown key"), "{}", ran.err);
    world.run("--config config.yaml --skip_server_startup --strict").refused_with(&["config.yaml:3:29: unservable: "]);
}

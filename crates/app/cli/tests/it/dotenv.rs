//! `.env` in the working directory.

use crate::world::World;

const FILE: &str =
    "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, api_key: os.environ/MY_KEY}\n";

fn world() -> World {
    World::new().file("config.yaml", FILE)
}

#[test]
fn a_key_from_dotenv_serves_a_deployment() {
    assert_eq!(world().run("check config.yaml").code, 1);
    let with = world().file(".env", "export MY_KEY = 'sk-hush'   # the key\n").run("check config.yaml");
    assert!(!with.went_well().out.contains("hush"));
}

#[test]
fn in_production_dotenv_is_not_read() {
    let world = world().file(".env", "MY_KEY=k\n").environment("LITELLM_MODE", "PRODUCTION");
    assert_eq!(world.run("check config.yaml").code, 1);
}

#[test]
fn an_empty_value_is_not_set() {
    assert_eq!(world().file(".env", "MY_KEY = \"\"   # MY_KEY='x'\n").run("check config.yaml").code, 1);
}

#[test]
fn dotenv_sets_flags_but_never_overrides_what_is_set() {
    let port = |world: World| world.run("--health").err;
    assert!(port(World::new().file(".env", "PORT = 1\n")).contains("127.0.0.1:1 "));
    let both = World::new().file(".env", "PORT = 1\n").environment("PORT", "2");
    assert!(port(both).contains("127.0.0.1:2 "));
    let flag = World::new().file(".env", "PORT = 1\n").environment("PORT", "2");
    assert!(flag.run("--health --port 3").err.contains("127.0.0.1:3 "));
}

#[test]
fn a_bad_line_is_named_without_its_text_and_the_rest_counts() {
    let ran = world().file(".env", "\nsk-hush-hush\nMY_KEY=k\n").run("check config.yaml");
    assert!(ran.went_well().err.contains("warning: .env:2: this is not NAME=value"), "{}", ran.err);
    assert!(!ran.err.contains("hush"), "{}", ran.err);
}

#[test]
fn a_folder_called_dotenv_is_no_matter() {
    let ran = world().file(".env/bin/python", "").environment("MY_KEY", "k").run("check config.yaml");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn an_old_secrets_template_is_explained_in_one_line() {
    let ran = world().file("secrets_template.toml", "[keys]\n").environment("MY_KEY", "k").run("check config.yaml");
    assert_eq!((ran.code, ran.err.lines().count()), (0, 1), "{}", ran.err);
    assert!(ran.err.contains("secrets_template.toml is not read") && ran.err.contains(".env"), "{}", ran.err);
}

//! The table: every row can be used, none is written twice, none is without fixtures.

use std::{fs, path::Path};

use serde_json::json;
use tollgate_providers::{
    Provider,
    provider::{Auth, KeyNeed},
    resolve::Unservable,
    table,
    target::Credential,
};

use crate::{
    golden::{FIXTURES, header},
    world::{self, Ask},
};

#[test]
fn names_are_sorted_and_nobody_has_two_rows() {
    let names: Vec<&str> = table::ALL.iter().map(|provider| provider.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable_by_key(|name| name.replace('-', "_"));
    sorted.dedup();
    assert_eq!(names, sorted);
}

#[test]
fn every_row_is_whole() {
    for provider in table::ALL {
        let name = provider.name;
        assert!(!name.is_empty() && !provider.title.is_empty(), "{name}");
        assert!(!provider.base_url.ends_with('/'), "{name}: the paths begin with a slash");
        assert!(provider.base_url.is_empty() || provider.base_url.starts_with("http"), "{name}");
        let others = table::ALL.iter().filter(|other| other.aliases.contains(&name)).count();
        assert_eq!(others, 0, "{name} is also another row's alias");
        let needs_key = provider.key == KeyNeed::Required;
        assert!(!needs_key || !provider.key_env.is_empty(), "{name} needs a key and reads no variable");
        let speaks = provider.chat.is_some()
            || provider.completions.is_some()
            || provider.embeddings.is_some()
            || provider.embed.is_some()
            || provider.rerank.is_some();
        assert!(speaks, "{name} can do nothing");
    }
}

/// Rows without a folder below `fixtures`, and folders without a row.
fn unmatched(rows: &[&str], folders: &[String]) -> Vec<String> {
    let bare = rows.iter().filter(|row| !folders.iter().any(|folder| folder == *row));
    let orphaned = folders.iter().filter(|folder| !rows.contains(&folder.as_str()));
    bare.map(|row| format!("{row} has no fixture"))
        .chain(orphaned.map(|folder| format!("fixtures/{folder} belongs to no row")))
        .collect()
}

/// Folders below `root` that hold at least one case.
fn folders_with_cases(root: &Path) -> Vec<String> {
    let entries = |path: &Path| fs::read_dir(path).expect("fixtures are readable").filter_map(Result::ok);
    entries(root)
        .filter(|folder| folder.path().is_dir())
        .filter(|folder| entries(&folder.path()).any(|case| case.path().join("ask.json").is_file()))
        .map(|folder| folder.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_row_has_a_fixture() {
    let names: Vec<&str> = table::ALL.iter().map(|provider| provider.name).collect();
    assert_eq!(unmatched(&names, &folders_with_cases(Path::new(FIXTURES))), Vec::<String>::new());
}

#[test]
fn a_row_without_a_fixture_is_found() {
    let folders = folders_with_cases(Path::new(FIXTURES));
    let mut names: Vec<&str> = folders.iter().map(String::as_str).collect();
    names.push("newcomer");
    assert_eq!(unmatched(&names, &folders), ["newcomer has no fixture"]);
    names.retain(|name| !matches!(*name, "newcomer" | "openai"));
    assert_eq!(unmatched(&names, &folders), ["fixtures/openai belongs to no row"]);
}

/// What a row's own address is, or one that a customer would give.
fn settings(provider: &Provider) -> serde_json::Value {
    let mut settings = json!({"model": format!("{}/some-model", provider.name), "api_key": "sk-row"});
    if provider.base_url.is_empty() || provider.base_url.contains('{') {
        settings["api_base"] = "https://customer.test/v1".into();
    }
    if provider.name == "vertex_ai" {
        settings["vertex_project"] = "a-project".into();
    }
    settings
}

#[test]
fn every_row_sends_chat_to_its_address_with_its_key() {
    // What rows that locate need beside is in their fixtures.
    for provider in table::ALL.iter().filter(|provider| provider.chat.is_some() && provider.locate.is_none()) {
        let name = provider.name;
        let target = world::target(&settings(provider)).unwrap_or_else(|error| panic!("{error}"));
        let ask = json!({"operation": "chat", "body": {"messages": [{"role": "user", "content": "hello"}]}});
        let drafted = Ask::read(&ask).draft(&target).and_then(|draft| draft.finish());
        let outgoing = drafted.unwrap_or_else(|failure| panic!("{name}: {failure}")).outgoing;

        let base = if target.base_url.contains("customer.test") { "https://customer.test" } else { provider.base_url };
        assert!(outgoing.url.starts_with(base), "{name}: {}", outgoing.url);
        let path = provider.chat_path;
        assert!(!openai_shaped(provider) || outgoing.url.contains(path), "{name}: {}", outgoing.url);
        if matches!(target.credential, Credential::Account(_)) {
            // Somebody outside turns it into a token.
            continue;
        }
        match provider.auth {
            // An API key of AWS's is a bearer token.
            Auth::Bearer | Auth::AzureFoundry | Auth::Snowflake | Auth::Aws(_) => {
                assert_eq!(header(&outgoing.headers, "authorization"), "Bearer sk-row", "{name}");
            }
            Auth::Scheme(scheme) => {
                assert_eq!(header(&outgoing.headers, "authorization"), format!("{scheme} sk-row"), "{name}");
            }
            Auth::Header(key) => assert_eq!(header(&outgoing.headers, key), "sk-row", "{name}"),
            Auth::Azure => assert_eq!(header(&outgoing.headers, "api-key"), "sk-row", "{name}"),
            Auth::Anthropic => assert_eq!(header(&outgoing.headers, "x-api-key"), "sk-row", "{name}"),
        }
    }
}

fn openai_shaped(provider: &Provider) -> bool {
    use tollgate_providers::codec::Words;
    provider.chat.is_some_and(|chat| chat.words() == Words::OpenAiChat)
}

#[test]
fn a_row_that_needs_a_key_or_an_address_says_which_variable_would_do() {
    for provider in table::ALL {
        let model = format!("{}/some-model", provider.name);
        match world::target(&json!({"model": model})) {
            Ok(_) => {
                assert_eq!(provider.key, KeyNeed::Optional, "{model}");
                assert!(!provider.base_url.is_empty(), "{model}");
            }
            Err(Unservable::Missing(words)) => assert!(words.contains("set "), "{model}: {words}"),
            Err(Unservable::NoAddress(name, env)) => {
                assert_eq!((name, env), (provider.name, provider.base_env));
                assert!(provider.base_url.is_empty() || provider.base_url.contains('{'), "{model}");
            }
            Err(Unservable::NoKey(name, env)) => assert_eq!((name, env), (provider.name, provider.key_env)),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_retired_provider_says_what_to_use_now() {
    let Err(Unservable::Missing(words)) = world::target(&json!({"model": "palm/chat-bison", "api_key": "k"})) else {
        panic!("it can be served");
    };
    assert!(words.contains("retired") && words.contains("gemini/"), "{words}");
}

#[test]
fn the_variables_of_a_row_are_read() {
    let plain = |provider: &&&Provider| !provider.base_url.contains('{') && provider.locate.is_none();
    for provider in table::ALL.iter().filter(plain) {
        for key in provider.key_env {
            let mut env = json!({*key: "sk-env"});
            if let Some(base) = provider.base_env.first() {
                env[*base] = "https://env.test/v1/".into();
            }
            let mut settings = json!({"model": format!("{}/m", provider.name), "env": env});
            if provider.base_env.is_empty() && provider.base_url.is_empty() {
                settings["api_base"] = "https://env.test/v1".into();
            }
            let target = world::target(&settings).unwrap_or_else(|error| panic!("{key}: {error}"));
            assert!(
                matches!(&target.credential, tollgate_providers::target::Credential::Key(secret) if secret.expose() == "sk-env"),
                "{key}"
            );
            assert!(provider.base_env.is_empty() || target.base_url == "https://env.test/v1", "{key}");
        }
    }
}

#[test]
fn an_address_names_its_provider_unless_it_is_our_own_network() {
    let provider = |base: &str| {
        let settings = json!({"model": "some-model", "api_base": base, "api_key": "k"});
        world::target(&settings).map(|target| target.provider.name)
    };

    assert_eq!(provider("https://api.groq.com/openai/v1"), Ok("groq"));
    assert_eq!(provider("https://api.openai.com/v1"), Ok("openai"));
    let nobody = Err(Unservable::UnknownProvider("some-model".to_owned()));
    assert_eq!(provider("http://localhost:8000/v1"), nobody);
    assert_eq!(provider("https://gateway.customer.test/v1"), nobody);
}

#[test]
fn another_name_means_the_same_row() {
    let target = world::target(&json!({"model": "ai21/jamba-large", "api_key": "k"})).unwrap();
    assert_eq!((target.provider.name, target.model.as_str()), ("ai21_chat", "jamba-large"));
}

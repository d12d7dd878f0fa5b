//! What is said about a configuration, and where.

use tollgate_config::{Severity, parse};

use crate::world::{check_with, findings_of};

fn check(text: &str, expected: &[&str]) {
    assert_eq!(findings_of(text), expected, "{text}");
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_nearest_known_key() {
    check(
        "model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/a\n      api_bsae: http://x\n    modle_info: {}\nlitelm_settings: {}\ngeneral_settings:\n  masterkey: x\n  quite_unknown_thing: 1\nrouter_settings: {routing_stategy: least-busy}\n",
        &[
            "config.yaml:5:7: warning: model_list[0].litellm_params.api_bsae: not a key of this section, so it is passed on; did you mean api_base?",
            "config.yaml:6:5: warning: model_list[0].modle_info: unknown key, ignored; did you mean model_info?",
            "config.yaml:7:1: warning: litelm_settings: unknown key, ignored; did you mean litellm_settings?",
            "config.yaml:9:3: warning: general_settings.masterkey: unknown key, ignored; did you mean master_key?",
            "config.yaml:10:3: warning: general_settings.quite_unknown_thing: unknown key, ignored",
            "config.yaml:11:19: warning: router_settings.routing_stategy: unknown key, ignored; did you mean routing_strategy?",
        ],
    );
}

#[test]
fn ordinary_parameters_are_not_taken_for_slips() {
    let names = [
        "temperature",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "top_p",
        "top_k",
        "seed",
        "n",
        "user",
        "stream",
        "tools",
        "tool_choice",
        "response_format",
        "logprobs",
        "reasoning_effort",
        "thinking",
        "presence_penalty",
        "safety_settings",
        "dimensions",
        "encoding_format",
        "store",
        "metadata",
        "modalities",
        "functions",
        "model_id",
        "echo",
        "suffix",
        "top_logprobs",
        "best_of",
        "format",
        "think",
        "num_ctx",
        "keep_alive",
        "verbosity",
        "service_tier",
        "prediction",
    ];
    let lines: String = names.iter().map(|name| format!("      {name}: 1\n")).collect();
    check(&format!("model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/a\n{lines}"), &[]);
}

#[test]
fn a_wrong_type_stops_and_names_the_line_but_not_the_value() {
    let text = "model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/a\n      rpm: sk-oops\n      api_key: [sk-oops]\n      headers: sk-oops\nlitellm_settings:\n  drop_params: perhaps\n  request_timeout: soon\ngeneral_settings: yes\nrouter_settings:\n  routing_strategy: fastest\n  num_retries: -1\n";
    check(
        text,
        &[
            "config.yaml:5:12: error: model_list[0].litellm_params.rpm: wants a whole number, this is a text",
            "config.yaml:6:16: error: model_list[0].litellm_params.api_key: wants a text, this is a list",
            "config.yaml:7:16: error: model_list[0].litellm_params.headers: wants a mapping of texts, this is a text",
            "config.yaml:9:16: error: litellm_settings.drop_params: wants true or false, this is a text",
            "config.yaml:10:20: error: litellm_settings.request_timeout: wants seconds, this is a text",
            "config.yaml:11:19: error: general_settings: wants a mapping, this is true or false",
            "config.yaml:13:21: error: router_settings.routing_strategy: wants one of simple-shuffle, least-busy, usage-based-routing, usage-based-routing-v2, latency-based-routing, cost-based-routing, provider-budget-routing, power-of-two-choices, cache-affinity, this is a text",
            "config.yaml:14:16: error: router_settings.num_retries: wants a whole number, this is a number",
        ],
    );
    let checked = check_with(text, &[]);
    assert!(checked.config.is_none());
    assert!(checked.has(Severity::Fatal));
}

#[test]
fn a_wrong_type_under_a_key_that_is_not_used_yet_is_a_warning() {
    check(
        "litellm_settings:\n  cache_params: soon\n",
        &["config.yaml:2:17: warning: litellm_settings.cache_params: wants a mapping, this is a text"],
    );
}

#[test]
fn a_list_of_addresses_that_is_not_enforced_refuses_the_start() {
    let refused = "error: general_settings.allowed_ips: not enforced by this version, and starting without it would let in everybody whom it keeps out; remove this key, or wait for a version that enforces it";
    for written in ["[10.0.0.1]", "10.0.0.1", "[os.environ/NOT_SET]"] {
        let checked = check_with(&format!("general_settings:\n  allowed_ips: {written}\n"), &[]);
        assert!(checked.config.is_none(), "{written}");
        let said = checked.findings.iter().any(|finding| finding.to_string().ends_with(refused));
        assert!(said, "{written}: {:#?}", checked.findings);
    }
    for written in ["[]", ""] {
        check(&format!("general_settings:\n  allowed_ips: {written}\n"), &[]);
    }
}

#[test]
fn a_strategy_that_is_not_there_yet_is_warned_about() {
    check(
        "router_settings:\n  routing_strategy: least-busy\n",
        &[
            "config.yaml:2:21: warning: router_settings.routing_strategy: known; not yet used by this version, which picks as simple-shuffle does",
        ],
    );
    check("router_settings:\n  routing_strategy: simple-shuffle\n", &[]);
}

#[test]
fn what_nothing_reads_yet_is_said_to_be_unused() {
    check(
        "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, tag_regex: [x], fallbacks: []}\n    model_info: {access_groups: [g]}\ngeneral_settings:\n  public_routes: [/x]\nrouter_settings:\n  cache_responses: true\n",
        &[
            "config.yaml:3:39: note: model_list[0].litellm_params.tag_regex: known; not yet used by this version",
            "config.yaml:3:55: note: model_list[0].litellm_params.fallbacks: known; not yet used by this version",
            "config.yaml:4:18: note: model_list[0].model_info.access_groups: known; not yet used by this version",
            "config.yaml:6:3: note: general_settings.public_routes: known; not yet used by this version",
            "config.yaml:8:3: note: router_settings.cache_responses: known; not yet used by this version",
        ],
    );
}

#[test]
fn what_refuses_the_start_hides_nothing_else() {
    let found = findings_of(
        "general_settings: {custom_auth: my.auth}\nmodel_list:\n  - model_name: a\n    litellm_params: {model: nosuch/a}\n",
    );
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("custom_auth"), "{found:#?}");
    assert!(found[1].ends_with("no provider is called nosuch"), "{found:#?}");
}

#[test]
fn an_alias_must_name_a_group() {
    check(
        "router_settings:\n  model_group_alias: {a: b, c: [d]}\n",
        &[
            "config.yaml:2:22: error: router_settings.model_group_alias: wants a mapping of names to groups, this is a mapping",
        ],
    );
    check("router_settings:\n  model_group_alias: {a: b, c: {model: d, hidden: \"yes\"}}\n", &[]);
}

#[test]
fn what_an_entry_must_have_is_missed() {
    check(
        "model_list:\n  - litellm_params: {model: openai/a}\n  - model_name: b\n  - model_name: c\n    litellm_params: {api_key: x}\n  - just a text\n",
        &[
            "config.yaml:2:5: error: model_list[0]: model_name is missing",
            "config.yaml:3:5: error: model_list[1]: litellm_params is missing",
            "config.yaml:5:21: error: model_list[2].litellm_params: model is missing",
            "config.yaml:6:5: error: model_list[3]: wants a mapping, this is a text",
        ],
    );
}

#[test]
fn a_missing_variable_or_provider_concerns_one_deployment_only() {
    let text = "model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/a\n      api_key: os.environ/NOT_SET\n  - model_name: b\n    litellm_params: {model: nosuch/b}\n  - model_name: c\n    litellm_params: {model: c, custom_llm_provider: openai}\n  - model_name: d\n    litellm_params: {model: openai/d, litellm_credential_name: gone}\n  - model_name: e\n    litellm_params: {model: openai/e, litellm_credential_name: lacking}\ncredential_list:\n  - credential_name: lacking\n    credential_values: {api_key: os.environ/NOT_SET}\n";
    let checked = check_with(text, &[]);
    let shown: Vec<_> = checked.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "config.yaml:5:16: unservable: model_list[0].litellm_params.api_key: NOT_SET is not set in the environment",
            "config.yaml:7:29: unservable: model_list[1].litellm_params.model: no provider is called nosuch",
            "config.yaml:11:21: unservable: model_list[3].litellm_params.litellm_credential_name: no entry of credential_list is called gone",
            "config.yaml:13:21: unservable: model_list[4].litellm_params.litellm_credential_name: NOT_SET is not set in the environment, and the credential lacking needs it",
            "config.yaml:16:34: warning: credential_list[0].credential_values.api_key: NOT_SET is not set in the environment; taken as not set",
        ]
    );
    let config = checked.config.expect("the start goes on");
    let servable: Vec<_> = config.models.iter().map(|model| model.unservable.is_none()).collect();
    assert_eq!(servable, [false, false, true, false, false]);
}

#[test]
fn every_entry_says_where_its_model_stands() {
    let text = "model_list:\n  - model_name: a\n    litellm_params:\n      api_key: k\n      model: openai/a\n  - model_name: b\n";
    let file = parse("config.yaml", text).expect("YAML");
    let places: Vec<_> = file.model_places().iter().map(ToString::to_string).collect();
    assert_eq!(places, ["config.yaml:5:14", "config.yaml:6:5"]);
}

#[test]
fn a_variable_that_is_empty_counts_as_not_set() {
    let text = "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, api_key: os.environ/EMPTY}\n";
    let checked = check_with(text, &[("EMPTY", "")]);
    assert!(checked.has(Severity::Deployment));
    assert!(!checked.has(Severity::Fatal));
}

#[test]
fn a_master_key_that_is_not_set_refuses_the_start() {
    check(
        "general_settings:\n  master_key: os.environ/MASTER\n",
        &[
            "config.yaml:2:15: error: general_settings.master_key: MASTER is not set in the environment; without it every caller would be let in",
        ],
    );
    let set = check_with("general_settings:\n  master_key: os.environ/MASTER\n", &[("MASTER", "sk-1")]);
    assert!(set.findings.is_empty());
}

#[test]
fn python_that_guards_refuses_the_start_and_python_that_watches_is_left_out() {
    let found = findings_of(
        "general_settings:\n  custom_auth: my_auth.check\nguardrails:\n  - guardrail_name: g\n    litellm_params: {guardrail: my_guard.Guard, mode: pre_call}\n  - guardrail_name: p\n    litellm_params: {guardrail: presidio, mode: pre_call}\nlitellm_settings:\n  callbacks: [langfuse, my_callbacks.logger]\n  success_callback: my_callbacks.logger\n",
    );
    let start =
        |line: &str| found.iter().filter(|finding| finding.starts_with(line)).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        start("config.yaml:2:3: error: general_settings.custom_auth: names Python code").contains("HTTP hook"),
        "{found:#?}"
    );
    assert!(
        start("config.yaml:5:33: error: guardrails[0].litellm_params.guardrail: names a guardrail in Python")
            .contains("HTTP guard"),
        "{found:#?}"
    );
    assert!(
        !start("config.yaml:9:25: warning: litellm_settings.callbacks: names a callback in Python").is_empty(),
        "{found:#?}"
    );
    assert!(!start("config.yaml:10:21: warning: litellm_settings.success_callback: names").is_empty(), "{found:#?}");
    assert_eq!(found.iter().filter(|finding| finding.contains(": error: ")).count(), 2, "{found:#?}");
}

#[test]
fn the_older_form_of_a_python_guardrail_is_refused_too() {
    let found = findings_of(
        "litellm_settings:\n  guardrails:\n    - my_check:\n        callbacks: [lakera_prompt_injection, my_guard.Guard]\n",
    );
    assert!(found.iter().any(|finding| finding.starts_with("config.yaml:4:46: error: ")), "{found:#?}");
}

#[test]
fn an_id_given_twice_makes_the_second_deployment_unservable() {
    let checked = check_with(
        "model_list:\n  - {model_name: a, litellm_params: {model: openai/a}, model_info: {id: x}}\n  - {model_name: b, litellm_params: {model: openai/b}, model_info: {id: x}}\n",
        &[],
    );
    let config = checked.config.expect("the start goes on");
    assert_eq!(config.models[1].unservable.as_deref(), Some("model_list[0] has the same model_info.id"));
    assert!(config.models[0].unservable.is_none());
}

#[test]
fn yaml_that_is_none_says_where_and_why() {
    let cases = [
        ("a: 1\na: 2\n", "config.yaml:2:1: error: the key a is here for the second time; first on line 1"),
        ("- a\n", "config.yaml:1:1: error: a configuration is a mapping, this is a list"),
        ("a: 1\n---\nb: 2\n", "config.yaml:2:1: error: a second document begins here; a configuration is one document"),
        ("a: !python/object x\n", "config.yaml:1:19: error: the tag !python/object is not known"),
        ("? [a]\n: 1\n", "config.yaml:1:3: error: a key must be a text"),
        ("a:\n  <<: 7\n", "config.yaml:2:3: error: `<<` merges mappings only"),
    ];
    for (text, expected) in cases {
        check(text, &[expected]);
    }
    for text in ["a: [1, 2\n", "a: \"x\n", "a: *nowhere\n", "a: {b: 1\nc: 2\n", "\u{0}"] {
        let finding = parse("config.yaml", text).expect_err("not YAML");
        assert_eq!(finding.severity, Severity::Fatal);
        assert!(finding.at.line >= 1 && !finding.message.is_empty(), "{text:?}: {finding}");
    }
}

#[test]
fn a_corrected_line_never_shows_a_secret() {
    let text = "model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/a\n\t  api_key: sk-hush\n";
    let finding = parse("config.yaml", text).expect_err("a tab").to_string();
    assert!(!finding.contains("hush"), "{finding}");
    assert!(finding.ends_with("corrected, line 5 reads:\n      api_key: …"), "{finding}");
}

#[test]
fn a_file_indented_with_tabs_is_shown_its_first_line() {
    let found = findings_of("general_settings:\n\tdefault_model: a\n\tuser_header_name: b\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("config.yaml:2:2: error: a tab indents this line"), "{found:?}");
    assert!(found[0].ends_with("line 2 reads:\n  default_model: a"), "{found:?}");
}

#[test]
fn a_missing_space_after_a_colon_is_shown() {
    let text = "model_list:\n- model_name: x\n  litellm_params:\n    model:openai/x\n    api_key: sk-1\n";
    check(
        text,
        &["config.yaml:4:5: error: a space is missing after the colon; corrected, line 4 reads:\n    model: openai/x"],
    );
}

#[test]
fn a_line_that_stands_well_is_not_blamed() {
    let text =
        "model_list:\n- model_name: x\n  litellm_params:\n    model: openai/x\n    api_key: \"sk-abc\n    rpm: 3\n";
    let finding = parse("config.yaml", text).expect_err("an open quote").to_string();
    assert!(!finding.contains("corrected") && !finding.contains("sk-abc"), "{finding}");
}

#[test]
fn severities_are_ordered_by_weight() {
    assert!(
        Severity::Fatal < Severity::Deployment
            && Severity::Deployment < Severity::Warning
            && Severity::Warning < Severity::Note
    );
}

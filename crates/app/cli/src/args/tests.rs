use super::*;

fn parsed(arguments: &str) -> Options {
    parsed_in(arguments, &[])
}

fn parsed_in(arguments: &str, environment: &[(&str, &str)]) -> Options {
    match try_parse(arguments, environment) {
        Ok(options) => options,
        Err(error) => panic!("{arguments}: {error}"),
    }
}

fn try_parse(arguments: &str, environment: &[(&str, &str)]) -> Result<Options, clap::Error> {
    let arguments = std::iter::once("tollgate").chain(arguments.split_whitespace());
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parse(arguments.map(OsString::from).collect(), &environment)
}

fn config_of(arguments: &str) -> Option<String> {
    parsed(arguments).config_path().map(|path| path.display().to_string())
}

#[test]
fn the_definition_holds_together() {
    command("tollgate").debug_assert();
}

#[test]
fn the_defaults_are_those_of_the_seeds() {
    let options = parsed("");
    assert_eq!(options.listen.port, 8000);
    assert_eq!((options.listen.host, options.listen.num_workers), (None, None));
    assert_eq!((options.requests.temperature, options.requests.max_tokens), (None, None));
    assert_eq!(options.requests.request_timeout, None);
    assert!(!options.requests.drop_params && !options.start.debug && options.ask.test.is_none());
}

#[test]
fn every_flag_of_the_seeds_is_taken() {
    let options = parsed(
        "--host 127.0.0.1 --port 8080 --num_workers 4 --api_base https://x.test --api_version 2023-08-01 --model gpt-3.5-turbo \
         --alias my-gpt-model --debug --temperature 0.7 --max_tokens 50 --request_timeout 300 --drop_params \
         --add_function_to_prompt --config path/to/config.yaml --telemetry False",
    );
    assert_eq!(options.listen.host.as_deref(), Some("127.0.0.1"));
    assert_eq!(options.listen.port, 8080);
    assert_eq!(options.listen.num_workers.map(std::num::NonZeroU16::get), Some(4));
    assert_eq!(options.models.api_base.as_deref(), Some("https://x.test"));
    assert_eq!(options.models.api_version.as_deref(), Some("2023-08-01"));
    assert_eq!(options.models.model.as_deref(), Some("gpt-3.5-turbo"));
    assert_eq!(options.models.alias.as_deref(), Some("my-gpt-model"));
    assert_eq!(options.requests.temperature, Some(0.7));
    assert_eq!(options.requests.max_tokens, Some(50));
    assert_eq!(options.requests.request_timeout, Some(std::time::Duration::from_secs(300)));
    assert!(options.start.debug && options.requests.drop_params && options.requests.add_function_to_prompt);
    assert!(!options.ignored.telemetry);
}

#[test]
fn long_forms_may_have_one_dash_and_short_ones_stay_short() {
    assert_eq!(config_of("-config config.yaml").as_deref(), Some("config.yaml"));
    assert_eq!(config_of("-config=config.yaml").as_deref(), Some("config.yaml"));
    assert_eq!(config_of("-c config.yaml").as_deref(), Some("config.yaml"));
    assert_eq!(config_of("-cconfig.yaml").as_deref(), Some("config.yaml"));
    assert_eq!(parsed("-model x").models.model.as_deref(), Some("x"));
    assert_eq!(parsed("-m x").models.model.as_deref(), Some("x"));
    assert!(parsed("-health").ask.health);
    assert!(parsed("-version").start.version && parsed("-v").start.version);
    assert_eq!(parsed("-test").ask.test, Some(None));
}

#[test]
fn a_flag_is_never_taken_for_a_value() {
    let options = parsed("--model=-health -m=check --temperature -1 --alias test");
    assert_eq!((options.models.model.as_deref(), options.models.alias.as_deref()), (Some("check"), Some("test")));
    assert_eq!(options.requests.temperature, Some(-1.0));
    assert!(options.command.is_none() && options.ask.test.is_none());
    assert_eq!(parsed("--model=-health").models.model.as_deref(), Some("-health"));
    for arguments in ["--model -debug", "-m --debug", "--model"] {
        let error = try_parse(arguments, &[]).err().expect("a value is missing");
        assert_eq!(error.kind(), clap::error::ErrorKind::InvalidValue, "{error}");
    }
}

#[test]
fn hyphens_stand_for_underscores() {
    let options = parsed("--num-workers 8 --drop-params --api-base=http://x");
    assert_eq!(options.listen.num_workers.map(std::num::NonZeroU16::get), Some(8));
    assert!(options.requests.drop_params);
    assert_eq!(options.models.api_base.as_deref(), Some("http://x"));
}

#[test]
fn switches_may_have_a_value() {
    assert!(parsed("--debug True").start.debug && parsed("--debug=1").start.debug);
    assert!(!parsed("--debug False").start.debug && !parsed("--debug=no").start.debug);
    assert!(parsed("--telemetry True").ignored.telemetry);
    let options = parsed("--debug config.yaml");
    assert!(options.start.debug && options.file.is_some());
    assert!(try_parse("--debug=perhaps", &[]).is_err());
}

#[test]
fn test_may_name_a_url() {
    assert_eq!(parsed("--test").ask.test, Some(None));
    assert_eq!(parsed("--test http://x:1").ask.test, Some(Some("http://x:1".to_owned())));
    assert_eq!(parsed("--test=https://x").ask.test, Some(Some("https://x".to_owned())));
    assert_eq!(parsed("--test --port 9").listen.port, 9);
}

#[test]
fn the_environment_counts_where_the_command_line_says_nothing() {
    let environment = [("PORT", "9000"), ("HOST", "::1"), ("DEBUG", "True"), ("NUM_WORKERS", "")];
    let options = parsed_in("", &environment);
    assert_eq!((options.listen.port, options.listen.host.as_deref()), (9000, Some("::1")));
    assert!(options.start.debug && options.listen.num_workers.is_none());
    let options = parsed_in("--port 1 --debug False", &environment);
    assert_eq!((options.listen.port, options.start.debug), (1, false));
    assert!(!parsed_in("", &[("DEBUG", "express:*")]).start.debug);
}

#[test]
fn a_bad_value_in_the_environment_is_told_as_the_variables() {
    let error = |arguments: &str| try_parse(arguments, &[("PORT", "many")]).err().expect("no port").to_string();
    assert!(error("").contains("the environment variable PORT holds 'many'"), "{}", error(""));
    assert!(!error("--port few").contains("environment"), "{}", error("--port few"));
}

#[test]
fn every_variable_stands_in_the_help_of_its_flag() {
    let command = command("tollgate");
    for (flag, variable) in FROM_ENVIRONMENT {
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(*flag)).expect("a flag of this name");
        let help = arg.get_help().expect("a help text").to_string();
        assert!(help.contains(&format!("[env: {variable}]")), "{flag}: {help}");
    }
}

#[test]
fn a_flag_given_twice_counts_as_it_was_given_last() {
    assert_eq!(parsed("--port 1 --port 2").listen.port, 2);
    assert!(!parsed("--debug --debug False").start.debug && parsed("--debug False --debug").start.debug);
}

#[test]
fn commands_have_flags_of_their_own() {
    let options = parsed("check -config a.yaml -strict");
    assert!(options.strict());
    assert_eq!(options.config_path().map(|path| path.display().to_string()).as_deref(), Some("a.yaml"));
    assert_eq!(config_of("check b.yaml").as_deref(), Some("b.yaml"));
    assert_eq!(config_of("--config c.yaml check").as_deref(), Some("c.yaml"));
    assert!(matches!(parsed_in("schema", &[("PORT", "9")]).command, Some(Command::Schema)));
}

#[test]
fn flags_of_the_original_that_mean_nothing_here_are_taken() {
    let options = parsed(
        "--run_gunicorn --run_hypercorn --run_granian --granian_threads 2 --log_config x --use_prisma_db_push --local \
         --max_requests_before_restart 100 --max_requests_before_restart_jitter 5 --timeout_worker_healthcheck 9 \
         --use_v2_migration_resolver --use_legacy_migration_resolver --enforce_prisma_migration_check --reload",
    );
    assert_eq!(options.missed(), Vec::<&str>::new());
    let options = parsed("--ciphers x --limit_concurrency 3 --save --add_key k --iam_token_db_auth");
    let missed = ["--ciphers", "--limit_concurrency", "--iam_token_db_auth", "--save", "--add_key"];
    assert_eq!(options.missed(), missed);
}

#[test]
fn help_shows_the_name_it_was_called_by() {
    let help = |program: &str| {
        let arguments = [program, "--help"].map(OsString::from).to_vec();
        parse(arguments, &Environment::new()).err().expect("help").to_string()
    };
    let (ours, theirs) = (help("/usr/bin/tollgate"), help("/usr/local/bin/litellm"));
    assert!(ours.contains("Usage: tollgate") && ours.contains("tollgate --config config.yaml"), "{ours}");
    assert!(theirs.contains("Usage: litellm") && theirs.contains("litellm --config config.yaml"), "{theirs}");
}

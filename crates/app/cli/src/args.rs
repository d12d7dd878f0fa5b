//! The command line: every flag of LiteLLM's, with its spelling, variable and default, and the commands of our own.
//!
//! [`parse`] first writes the arguments the way clap reads them (`spelling`), with the environment's share in front.

mod ledger;
mod spelling;
mod stored;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue},
};

pub(crate) use self::{
    ledger::{Ledger, LedgerCommand},
    stored::{Credentials, PriceUpdate, Prices, Reseal},
};
use crate::environment::Environment;

/// The port where nobody asks for another (decision 2).
const DEFAULT_PORT: u16 = 8000;

/// Flags that the environment sets where the command line does not.
const FROM_ENVIRONMENT: &[(&str, &str)] = &[
    ("host", "HOST"),
    ("port", "PORT"),
    ("num_workers", "NUM_WORKERS"),
    ("ssl_keyfile_path", "SSL_KEYFILE_PATH"),
    ("ssl_certfile_path", "SSL_CERTFILE_PATH"),
    ("keepalive_timeout", "KEEPALIVE_TIMEOUT"),
    ("debug", "DEBUG"),
    ("detailed_debug", "DETAILED_DEBUG"),
];

/// One endpoint for every LLM: takes OpenAI-format requests and answers them from any provider.
///
/// Start it with a configuration file (--config) or with one model (--model). It reads LiteLLM's configuration, flags
/// and environment variables, and may be installed under the name `litellm`.
#[derive(Clone, Parser)]
#[command(
    name = "tollgate",
    disable_version_flag = true,
    args_override_self = true,
    max_term_width = 110,
    subcommand_help_heading = "Commands"
)]
pub(crate) struct Options {
    /// What to do instead of starting the gateway.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The same as --config: a configuration file, ending in .yaml or .yml.
    #[arg(value_name = "CONFIG")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) models: Models,
    #[command(flatten)]
    pub(crate) listen: Listen,
    #[command(flatten)]
    pub(crate) requests: Requests,
    #[command(flatten)]
    pub(crate) ask: Ask,
    #[command(flatten)]
    pub(crate) start: StartUp,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
}

/// Commands of our own.
#[derive(Clone, Subcommand)]
pub(crate) enum Command {
    /// Check a configuration: print every finding with file, line and column; exit 1 if one of them is an error.
    Check(Check),
    /// Print the JSON schema of the configuration, for editors.
    Schema,
    /// Print where a chat request would go, why, and what it may cost, as JSON; nobody is asked.
    Explain(Explain),
    /// Check what is spent against everything that is written down, or show what is known of one call; only reads.
    Ledger(Ledger),
    /// Take a newer price map.
    #[command(subcommand)]
    Prices(Prices),
    /// What the store keeps of credentials.
    #[command(subcommand)]
    Credentials(Credentials),
}

/// `explain`.
#[derive(Clone, Args)]
pub(crate) struct Explain {
    /// The configuration file [env: CONFIG_FILE_PATH].
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The model that the request names; goes before the body's.
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// A file that holds the request, JSON [default: one with a short question].
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
}

/// `check`.
#[derive(Clone, Args)]
pub(crate) struct Check {
    /// The same as --config.
    #[arg(value_name = "CONFIG")]
    pub(crate) file: Option<PathBuf>,
    /// The configuration file [env: CONFIG_FILE_PATH].
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Warnings count as errors, too.
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Which models are served.
#[derive(Clone, Args)]
#[command(rename_all = "snake_case", next_help_heading = "Models")]
pub(crate) struct Models {
    /// The configuration file, YAML [env: CONFIG_FILE_PATH].
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Serve this one model, without a file; it answers whatever name a client asks for.
    ///
    /// Written <provider>/<model>, as in azure/my-deployment; well-known names need no provider. With a file that has
    /// models of its own it only names the model of --test.
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// The name under which --model is listed.
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Option<String>,
    /// The provider's address; goes before the file's.
    #[arg(long, value_name = "URL")]
    pub(crate) api_base: Option<String>,
    /// The version of Azure's API; exported as AZURE_API_VERSION.
    #[arg(long, value_name = "VERSION")]
    pub(crate) api_version: Option<String>,
}

/// Where the gateway listens.
#[derive(Clone, Args)]
#[command(rename_all = "snake_case", next_help_heading = "Listening")]
pub(crate) struct Listen {
    /// The address to listen on [env: HOST] [default: 0.0.0.0 with a master key, 127.0.0.1 without].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,
    /// The port [env: PORT].
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    pub(crate) port: u16,
    /// Threads of the one process [env: NUM_WORKERS] [default: the cores that the machine or its cgroup grants].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) num_workers: Option<std::num::NonZeroU16>,
    /// The private key for TLS, PEM [env: SSL_KEYFILE_PATH].
    #[arg(long, value_name = "FILE", requires = "ssl_certfile_path")]
    pub(crate) ssl_keyfile_path: Option<PathBuf>,
    /// The certificate chain for TLS, PEM [env: SSL_CERTFILE_PATH].
    #[arg(long, value_name = "FILE", requires = "ssl_keyfile_path")]
    pub(crate) ssl_certfile_path: Option<PathBuf>,
    /// How long an idle connection is kept [env: KEEPALIVE_TIMEOUT].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) keepalive_timeout: Option<u64>,
}

/// What the command line adds to every request.
#[derive(Clone, Args)]
#[command(rename_all = "snake_case", next_help_heading = "Every request")]
pub(crate) struct Requests {
    /// The temperature where a request sets none; goes before the file's.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) temperature: Option<f64>,
    /// The most tokens of an answer where a request sets none; goes before the file's.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_tokens: Option<u64>,
    /// How long a provider may take; goes before the file's [env: REQUEST_TIMEOUT, after the file's] [default: 600].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) request_timeout: Option<std::time::Duration>,
    /// Leave out parameters that the provider does not know, instead of refusing the request.
    #[arg(long)]
    pub(crate) drop_params: bool,
    /// Describe functions in the prompt where the provider does not take any.
    #[arg(long)]
    pub(crate) add_function_to_prompt: bool,
    /// Headers for calls to providers: '{"name": "value"}'.
    #[arg(long, value_name = "JSON")]
    pub(crate) headers: Option<String>,
    /// The most that all calls together may cost, USD.
    #[arg(long, value_name = "USD")]
    pub(crate) max_budget: Option<f64>,
}

/// Questions to a gateway that runs.
#[derive(Clone, Args)]
#[command(rename_all = "snake_case", next_help_heading = "Ask a running gateway")]
pub(crate) struct Ask {
    /// Send it a chat request, whole and streamed, and print the answers; a URL asks one elsewhere.
    ///
    /// The model is --model or gpt-3.5-turbo; the key is LITELLM_MASTER_KEY or the configuration's.
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true)]
    pub(crate) test: Option<Option<String>>,
    /// Print its /health.
    #[arg(long)]
    pub(crate) health: bool,
}

/// What is said and checked at the start.
#[derive(Clone, Args)]
#[command(rename_all = "snake_case", next_help_heading = "Start")]
pub(crate) struct StartUp {
    /// Print each call to a provider as a curl command, keys masked [env: DEBUG].
    #[arg(long)]
    pub(crate) debug: bool,
    /// The same, and log everything there is to say [env: DETAILED_DEBUG].
    #[arg(long)]
    pub(crate) detailed_debug: bool,
    /// Where keys and spend are kept if no database is named; `none` keeps them in memory only [env: TOLLGATE_DATA_DIR]
    /// [default: tollgate-data].
    #[arg(long = "data-dir", alias = "data_dir", value_name = "FOLDER", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Start although records are missing from a journal of an ended process: it is copied aside, and they count as unknown.
    #[arg(long = "accept-journal-damage")]
    pub(crate) accept_journal_damage: bool,
    /// Do not start if a deployment of the configuration cannot be served.
    #[arg(long)]
    pub(crate) strict: bool,
    /// The same as the command check.
    #[arg(long)]
    pub(crate) validate_config: bool,
    /// Do everything that comes before listening, then exit.
    #[arg(long)]
    pub(crate) skip_server_startup: bool,
    /// Print the version.
    #[arg(long, short)]
    pub(crate) version: bool,
}

/// Flags that LiteLLM's scripts and images pass, and that change nothing here.
#[derive(Clone, Args)]
#[command(rename_all = "snake_case", next_help_heading = "Accepted for compatibility, no effect")]
pub(crate) struct Ignored {
    /// Nothing phones home, ever.
    #[arg(long)]
    telemetry: bool,
    /// One server speaks HTTP/1.1 and HTTP/2.
    #[arg(long)]
    run_gunicorn: bool,
    /// As above.
    #[arg(long)]
    run_hypercorn: bool,
    /// As above.
    #[arg(long)]
    run_granian: bool,
    /// As above.
    #[arg(long, value_name = "NUMBER")]
    granian_threads: Option<String>,
    /// Logs go to standard error; LITELLM_LOG and JSON_LOGS shape them.
    #[arg(long, value_name = "FILE")]
    log_config: Option<String>,
    /// There are no worker processes that would have to be watched or replaced.
    #[arg(long, value_name = "SECONDS")]
    timeout_worker_healthcheck: Option<String>,
    /// As above.
    #[arg(long, value_name = "NUMBER")]
    max_requests_before_restart: Option<String>,
    /// As above.
    #[arg(long, value_name = "NUMBER")]
    max_requests_before_restart_jitter: Option<String>,
    /// The database needs no such tool.
    #[arg(long)]
    use_prisma_db_push: bool,
    /// As above.
    #[arg(long)]
    use_v2_migration_resolver: bool,
    /// As above.
    #[arg(long)]
    use_legacy_migration_resolver: bool,
    /// As above.
    #[arg(long)]
    enforce_prisma_migration_check: bool,
    /// For developers of the original.
    #[arg(long)]
    local: bool,
    /// As above.
    #[arg(long)]
    reload: bool,
    #[command(flatten)]
    missed: Missed,
}

/// Ignored flags that somebody may rely on: given, they are answered with a line.
#[derive(Clone, Args)]
#[command(rename_all = "snake_case")]
struct Missed {
    /// TLS has good ciphers only.
    #[arg(long, value_name = "NAMES")]
    ciphers: Option<String>,
    /// Use general_settings.max_connections.
    #[arg(long, value_name = "NUMBER")]
    limit_concurrency: Option<String>,
    /// Metrics have no port of their own.
    #[arg(long, value_name = "PORT")]
    prometheus_metrics_port: Option<String>,
    /// No token is fetched for the database.
    #[arg(long)]
    iam_token_db_auth: bool,
    /// As above.
    #[arg(long)]
    azure_postgresql_auth: bool,
    /// Nothing is saved; write a configuration file.
    #[arg(long)]
    save: bool,
    /// Write a configuration file; docs/reference/config.md has every key.
    #[arg(long)]
    setup: bool,
    /// Keys of providers belong into the environment, .env or the configuration.
    #[arg(long, value_name = "KEY")]
    add_key: Option<String>,
    /// There is no queue.
    #[arg(long)]
    use_queue: bool,
    /// As above.
    #[arg(long)]
    test_async: bool,
    /// As above.
    #[arg(long, value_name = "NUMBER")]
    num_requests: Option<String>,
}

impl Options {
    /// The configuration file that the command line names, if it names one.
    pub(crate) fn config_path(&self) -> Option<&PathBuf> {
        let of_check = match &self.command {
            Some(Command::Check(check)) => check.file.as_ref().or(check.config.as_ref()),
            Some(Command::Explain(explain)) => explain.config.as_ref(),
            Some(Command::Ledger(ledger)) => ledger.place().config.as_ref(),
            Some(Command::Credentials(Credentials::Reseal(reseal))) => reseal.config.as_ref(),
            Some(Command::Schema | Command::Prices(_)) | None => None,
        };
        of_check.or(self.file.as_ref()).or(self.models.config.as_ref())
    }

    /// Where keys, spend and journals are kept, if the command line says so.
    pub(crate) fn data_dir(&self) -> Option<&PathBuf> {
        let of_ledger = match &self.command {
            Some(Command::Ledger(ledger)) => ledger.place().data_dir.as_ref(),
            _ => None,
        };
        of_ledger.or(self.start.data_dir.as_ref())
    }

    /// Whether deployments that cannot be served stop the start.
    pub(crate) fn strict(&self) -> bool {
        self.start.strict || matches!(&self.command, Some(Command::Check(check)) if check.strict)
    }

    /// The flags that were given, have no effect, and would be missed.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        let missed = &self.ignored.missed;
        [
            ("--ciphers", missed.ciphers.is_some()),
            ("--limit_concurrency", missed.limit_concurrency.is_some()),
            ("--prometheus_metrics_port", missed.prometheus_metrics_port.is_some()),
            ("--iam_token_db_auth", missed.iam_token_db_auth),
            ("--azure_postgresql_auth", missed.azure_postgresql_auth),
            ("--save", missed.save),
            ("--setup", missed.setup),
            ("--add_key", missed.add_key.is_some()),
            ("--use_queue", missed.use_queue),
            ("--test_async", missed.test_async),
        ]
        .into_iter()
        .filter_map(|(flag, given)| given.then_some(flag))
        .collect()
    }
}

/// Reads the arguments, the name of the program first; the environment counts where they say nothing.
///
/// # Errors
/// What clap says: help that was asked for, or a usage error.
pub(crate) fn parse(arguments: Vec<OsString>, environment: &Environment) -> Result<Options, clap::Error> {
    let name = called_by(arguments.first());
    let command = command(&name);
    let arguments = spelling::normalise(arguments, &command, |flag| {
        let (_, variable) = FROM_ENVIRONMENT.iter().find(|(known, _)| *known == flag)?;
        environment.get(*variable).map(String::as_str)
    });
    let mut command = command;
    let parsed = command.try_get_matches_from_mut(arguments).and_then(|matches| Options::from_arg_matches(&matches));
    parsed.map_err(|error| blame_variable(error, &mut command, environment))
}

/// A bad value that a variable brought is told as the variable's: nobody wrote the flag.
fn blame_variable(error: clap::Error, command: &mut clap::Command, environment: &Environment) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let flag = text(ContextKind::InvalidArg).and_then(|flag| flag.trim_start_matches('-').split(' ').next());
    let value = text(ContextKind::InvalidValue);
    let brought = FROM_ENVIRONMENT
        .iter()
        .find(|(known, variable)| Some(*known) == flag && environment.get(*variable).map(String::as_str) == value);
    match (brought, value) {
        (Some((flag, variable)), Some(value)) => {
            let message =
                format!("the environment variable {variable} holds '{value}', which is no value for --{flag}");
            command.error(error.kind(), message)
        }
        _ => error,
    }
}

/// A word that is neither a command nor a configuration file is refused, as LiteLLM refuses it.
pub(crate) fn refuse_unknown_word(options: &Options) -> anyhow::Result<()> {
    let Some(file) = &options.file else { return Ok(()) };
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !["yaml", "yml", "json"].contains(&extension.to_ascii_lowercase().as_str()) {
        anyhow::bail!("Unknown command: {}; --help lists them, and a configuration ends in .yaml", file.display());
    }
    Ok(())
}

/// The command as help shows it, under the name it was called by.
pub(crate) fn command(name: &str) -> clap::Command {
    Options::command().bin_name(name).display_name(name).after_help(examples(name)).after_long_help(format!(
        "{}\n\nEnvironment:\n  \
         Variables also come from a file .env in the working directory, unless LITELLM_MODE is PRODUCTION.\n  \
         What is set already is never overridden by .env; environment_variables of the configuration go before both.\n  \
         LITELLM_MASTER_KEY  the key that every caller must send, where the configuration names none\n  \
         LITELLM_LOG         INFO, DEBUG or ERROR          JSON_LOGS  log lines as JSON",
        examples(name)
    ))
}

/// The file name of the program: `litellm` where it is installed under that name.
fn called_by(program: Option<&OsString>) -> String {
    let name = program.and_then(|path| std::path::Path::new(path).file_stem()).and_then(|name| name.to_str());
    name.unwrap_or("tollgate").to_owned()
}

fn examples(name: &str) -> String {
    let lines = [
        ("--config config.yaml", "serve what the file lists"),
        ("--model gpt-3.5-turbo", "serve one model; the key comes from OPENAI_API_KEY"),
        ("--model azure/gpt-deployment --api_version 2023-08-01 --api_base https://<your api base>", ""),
        ("--model huggingface/tinyllama --api_base https://<your endpoint>", ""),
        ("--model ollama/codellama --temperature 0.3 --max_tokens 2048 --drop_params", ""),
        ("--host 0.0.0.0 --port 8002 --num_workers 8 --config config.yaml", ""),
        ("--test", "in another shell: ask it for an answer"),
        ("--health", "which deployments are well"),
        ("check --config config.yaml --strict", "every finding, with its line"),
        ("explain -c config.yaml -m gpt-4o", "where a call would go, and why"),
        ("ledger verify -c config.yaml", "every total, computed again"),
        ("schema > config.schema.json", "for completion in editors"),
    ];
    let mut text = "Examples:".to_owned();
    for (arguments, about) in lines {
        let line = match about {
            "" => format!("\n  {name} {arguments}"),
            about => format!("\n  {:<46}# {about}", format!("{name} {arguments}")),
        };
        text.push_str(&line);
    }
    text
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if number <= 0.0 {
        return Err("it must be more than 0".to_owned());
    }
    std::time::Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;

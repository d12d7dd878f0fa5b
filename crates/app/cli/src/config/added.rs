//! What flags and environment add to a configuration.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use tollgate_config::{Config, ModelEntry, TextMap};
use tollgate_wire::Secret;

use crate::{
    args::{Options, Requests},
    environment::{Environment, get},
};

/// Flags go before the file, for every deployment; a request that sets the parameter itself goes before both.
pub(super) fn by_command_line(
    config: &mut Config,
    environment: &mut Environment,
    options: &Options,
) -> anyhow::Result<()> {
    let requests = &options.requests;
    let api_base = options.models.api_base.as_deref().map(|base| base.trim_end_matches('/'));
    for entry in &mut config.models {
        if let Some(api_base) = api_base {
            entry.params.api_base = Some(api_base.to_owned());
            entry.params.given.insert("api_base".to_owned(), json!(api_base));
        }
        if let Some(timeout) = requests.request_timeout {
            entry.params.timeout = Some(timeout);
            entry.params.request_timeout = Some(timeout);
        }
        if requests.drop_params {
            entry.params.drop_params = Some(true);
        }
        for (name, value) in parameters(requests) {
            set(entry, name, value);
        }
    }
    if let Some(version) = &options.models.api_version {
        environment.insert("AZURE_API_VERSION".to_owned(), version.clone());
    }
    let litellm = &mut config.litellm;
    litellm.request_timeout = requests.request_timeout.or(litellm.request_timeout);
    litellm.max_budget = requests.max_budget.or(litellm.max_budget);
    litellm.drop_params = requests.drop_params.then_some(true).or(litellm.drop_params);
    litellm.add_function_to_prompt = requests.add_function_to_prompt.then_some(true).or(litellm.add_function_to_prompt);
    if let Some(headers) = &requests.headers {
        add_headers(&mut litellm.headers, headers)?;
    }
    Ok(())
}

/// Parameters that a deployment sends where the request says nothing.
fn parameters(requests: &Requests) -> Vec<(&'static str, Value)> {
    let temperature = requests.temperature.map(|temperature| ("temperature", json!(temperature)));
    let max_tokens = requests.max_tokens.map(|max_tokens| ("max_tokens", json!(max_tokens)));
    temperature.into_iter().chain(max_tokens).collect()
}

fn set(entry: &mut ModelEntry, name: &str, value: Value) {
    entry.params.given.insert(name.to_owned(), value.clone());
    entry.params.rest.insert(name.to_owned(), value);
}

fn add_headers(headers: &mut TextMap, text: &str) -> anyhow::Result<()> {
    // Without the parser's own words: they may quote the text, and headers hold keys.
    let given: Map<String, Value> =
        serde_json::from_str(text).ok().context(r#"--headers wants JSON, as in --headers '{"name": "value"}'"#)?;
    for (name, value) in given {
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => bail!("--headers: the value of {name} is not a text"),
        };
        headers.0.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        headers.0.push((name, value));
    }
    Ok(())
}

/// Variables stand in for what the file leaves open.
pub(super) fn by_environment(config: &mut Config, environment: &Environment) {
    let master_key = get(environment, "LITELLM_MASTER_KEY");
    let general = &mut config.general;
    general.master_key = general.master_key.take().or_else(|| master_key.map(Secret::new));
    let litellm = &mut config.litellm;
    if litellm.json_logs.is_none() {
        litellm.json_logs =
            get(environment, "JSON_LOGS").map(|value| value.eq_ignore_ascii_case("true") || value == "1");
    }
    if litellm.request_timeout.is_none() {
        let seconds = get(environment, "REQUEST_TIMEOUT").and_then(|value| value.trim().parse::<f64>().ok());
        litellm.request_timeout =
            seconds.filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    }
}

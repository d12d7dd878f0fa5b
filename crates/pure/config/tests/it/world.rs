//! One helper builds the world: a text, an environment, and providers that are known by a few names.

use tollgate_config::{Checked, Config, LitellmParams, Severity, check, parse, resolve};

/// What a provider is called in these tests, in front of the slash; bare names are known too.
const PROVIDERS: &[&str] = &["openai", "azure", "anthropic", "huggingface", "ollama", "bedrock", "sagemaker"];

pub(crate) fn knows(params: &LitellmParams) -> Result<(), String> {
    let (model, provider) = (params.model.as_str(), params.custom_llm_provider.as_deref());
    let name = provider.or_else(|| model.split_once('/').map(|(name, _)| name));
    match name {
        Some(name) if !PROVIDERS.contains(&name) => Err(format!("no provider is called {name}")),
        _ => Ok(()),
    }
}

pub(crate) fn check_with(text: &str, environment: &[(&str, &str)]) -> Checked {
    let lookup = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    match parse("config.yaml", text) {
        Ok(file) => check(resolve(file, &lookup), &knows),
        Err(finding) => Checked { config: None, findings: vec![finding] },
    }
}

/// The configuration of a text that is free of errors.
pub(crate) fn config_of(text: &str) -> Config {
    let checked = check_with(text, &[]);
    assert!(!checked.has(Severity::Deployment), "{:#?}", checked.findings);
    checked.config.expect("no fatal finding")
}

/// All findings of a text, as they are printed.
pub(crate) fn findings_of(text: &str) -> Vec<String> {
    check_with(text, &[]).findings.iter().map(ToString::to_string).collect()
}

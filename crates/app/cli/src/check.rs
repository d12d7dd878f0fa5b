//! What is said about a configuration: all of it by `check`, what matters by a start.

use std::process::ExitCode;

use tollgate_config::{Finding, Severity};

use crate::{
    args::Options,
    config::{self, Loaded},
    environment::Environment,
    out,
};

/// `check`: prints every finding; fails if one is an error, or with `--strict` a warning.
pub(crate) fn run(options: &Options, environment: Environment) -> anyhow::Result<ExitCode> {
    let Some(path) = config::path(options, &environment) else {
        anyhow::bail!("there is nothing to check; name the configuration: check --config <file>");
    };
    let findings = config::read(options, environment)?.checked.findings;
    for finding in &findings {
        out::line(&finding.to_string());
    }
    let bound = if options.strict() { Severity::Warning } else { Severity::Deployment };
    let grave = findings.iter().filter(|finding| finding.severity <= bound).count();
    out::line(&format!("{}: {}", path.display(), summary(&findings)));
    Ok(if grave == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(findings: &[Finding]) -> String {
    let count = |severity: Severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let parts = [
        (count(Severity::Fatal), "error", "errors"),
        (count(Severity::Deployment), "unservable deployment", "unservable deployments"),
        (count(Severity::Warning), "warning", "warnings"),
        (count(Severity::Note), "note", "notes"),
    ];
    let named = |(count, one, many): (usize, &str, &str)| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    };
    let found: Vec<String> = parts.into_iter().filter_map(named).collect();
    if found.is_empty() { "nothing to say against it".to_owned() } else { found.join(", ") }
}

/// Prints, at a start, what is probably not as meant.
pub(crate) fn warn(options: &Options, loaded: &Loaded) {
    for finding in loaded.findings.iter().filter(|finding| finding.severity <= Severity::Warning) {
        out::aside(&finding.to_string());
    }
    for flag in options.missed() {
        out::aside(&format!("warning: {flag} has no effect; --help says what to do instead"));
    }
    if loaded.config.models.is_empty() {
        let file = loaded
            .source_path
            .as_ref()
            .map_or_else(|| "a file for --config".to_owned(), |path| path.display().to_string());
        out::aside(&format!(
            "warning: no models; name one with --model <provider>/<model>, or list them under model_list in {file}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use tollgate_config::Location;

    use super::*;

    #[test]
    fn a_summary_counts_by_weight() {
        let finding = |severity| Finding::new(severity, "", &Location::whole("f"), "x");
        let found = [Severity::Note, Severity::Fatal, Severity::Warning, Severity::Warning].map(finding);
        assert_eq!(summary(&found), "1 error, 2 warnings, 1 note");
        assert_eq!(summary(&[]), "nothing to say against it");
    }
}

//! From the command line to a configuration: the file with its includes, or the one model of `--model`, and what the
//! flags and the environment add to either.

mod added;
mod files;
mod servable;

use std::{fmt, path::PathBuf};

use tollgate_config::{Checked, Config, File, Finding, Location, Severity, check, resolve};

use crate::{
    args::Options,
    environment::{Environment, get},
};

/// A configuration, ready to be served.
pub(crate) struct Loaded {
    /// The configuration, flags and environment in it.
    pub(crate) config: Config,
    /// The process's variables, those of `.env`, and the configuration's own, which win; secrets among them.
    pub(crate) environment: Environment,
    /// Everything found, in the order of the file.
    pub(crate) findings: Vec<Finding>,
    /// The first model answers every name: `--model` without a file (decision 6).
    pub(crate) answers_everything: bool,
    /// The file, if there is one: what a reload reads again.
    pub(crate) source_path: Option<PathBuf>,
    /// It and what it includes.
    pub(crate) files: Vec<PathBuf>,
}

/// Findings that refuse the start, each a line (or more, with the corrected line).
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Vec<Finding>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Refused {}

/// What was read, good or not: for `check`, which shows everything.
pub(crate) struct Read {
    /// The configuration, unless a finding is fatal, and the findings.
    pub(crate) checked: Checked,
    environment: Environment,
    answers_everything: bool,
    source_path: Option<PathBuf>,
}

/// The file that is to be read: the command line's, else `CONFIG_FILE_PATH`.
pub(crate) fn path(options: &Options, environment: &Environment) -> Option<PathBuf> {
    options.config_path().cloned().or_else(|| get(environment, "CONFIG_FILE_PATH").map(PathBuf::from))
}

/// Reads and checks everything, without judging it.
///
/// # Errors
/// One line for what has no place in a file: a file that is not there, a wrong flag, `--model` with an unknown provider.
pub(crate) fn read(options: &Options, environment: Environment) -> anyhow::Result<Read> {
    read_noting(options, environment, &mut Vec::new())
}

/// [`read`], noting which files were looked for, whatever comes of it.
fn read_noting(options: &Options, mut environment: Environment, files: &mut Vec<PathBuf>) -> anyhow::Result<Read> {
    refuse_buckets(&environment)?;
    let source_path = path(options, &environment);
    let mut seen = Vec::new();
    let of_file = source_path.as_deref().map(|path| files::read(path, &mut seen)).transpose();
    files.extend(seen.into_iter().map(|(named, _)| named));
    let of_file = match of_file {
        Ok(of_file) => of_file,
        Err(files::Unread::Finding(finding)) => {
            let checked = Checked { config: None, findings: vec![finding] };
            return Ok(Read { checked, environment, answers_everything: false, source_path });
        }
        Err(files::Unread::Other(error)) => return Err(error),
    };
    let has_file = of_file.is_some();
    let file = of_file.map_or_else(files::empty, Ok)?;
    let mut places = file.model_places();
    let mut checked = checked(file, &environment);
    let has_models = checked.config.as_ref().is_none_or(|config| !config.models.is_empty());
    let mut answers_everything = false;
    if let (Some(model), false) = (&options.models.model, has_models) {
        let mut of_model = self::checked(files::of_model(model, &options.models)?, &environment);
        if let (Some(config), Some(one)) = (&mut checked.config, of_model.config.as_mut()) {
            config.models.append(&mut one.models);
            places.push(Location::whole("--model"));
        }
        answers_everything = !has_file;
    }
    if let Some(config) = &mut checked.config {
        added::by_command_line(config, &mut environment, options)?;
        environment.extend(config.environment.iter().cloned());
        added::by_environment(config, &environment);
        if !has_models && let Some(entry) = config.models.first() {
            servable::refuse_unknown_provider(entry, config, &environment)?;
        }
        servable::find(config, &environment, &places, &mut checked.findings);
    }
    Ok(Read { checked, environment, answers_everything, source_path })
}

/// Reads and checks everything; what remains is fit to be served.
///
/// # Errors
/// As [`read`], and [`Refused`].
pub(crate) fn load(options: &Options, environment: Environment) -> anyhow::Result<Loaded> {
    load_noting(options, environment, &mut Vec::new())
}

/// [`load`], noting which files were looked for, whatever comes of it.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_noting(
    options: &Options,
    environment: Environment,
    files: &mut Vec<PathBuf>,
) -> anyhow::Result<Loaded> {
    let read = read_noting(options, environment, files)?;
    let bound = if options.strict() { Severity::Deployment } else { Severity::Fatal };
    let Checked { config, findings } = read.checked;
    let grave: Vec<Finding> = findings.iter().filter(|finding| finding.severity <= bound).cloned().collect();
    let (Some(config), true) = (config, grave.is_empty()) else { return Err(Refused(grave).into()) };
    Ok(Loaded {
        config,
        environment: read.environment,
        findings,
        answers_everything: read.answers_everything,
        source_path: read.source_path,
        files: files.clone(),
    })
}

/// Providers are asked for when the settings that all deployments share are known, too; where they never will be, as the
/// file cannot be used, by what each deployment says alone, so that `check` shows everything at once.
fn checked(file: File, environment: &Environment) -> Checked {
    let lookup = |name: &str| environment.get(name).cloned();
    let checked = check(resolve(file.clone(), &lookup), &|_| Ok(()));
    if checked.config.is_some() { checked } else { check(resolve(file, &lookup), &servable::knows) }
}

/// A configuration in a bucket is not read yet; starting without it would be a surprise.
fn refuse_buckets(environment: &Environment) -> anyhow::Result<()> {
    let names = ["LITELLM_CONFIG_BUCKET_NAME", "LITELLM_CONFIG_BUCKET_OBJECT_KEY"];
    match names.iter().find(|name| get(environment, name).is_some()) {
        Some(name) => anyhow::bail!(
            "{name} is set, but a configuration in S3 or GCS cannot be read yet; unset it, copy the file here and name it with --config"
        ),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

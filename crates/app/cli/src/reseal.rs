//! `credentials reseal`: what the store keeps sealed is sealed anew under the salt key of today.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tollgate_gateway::{reseal, vault::Vault};
use tollgate_net::clock::{SystemClock, SystemRandom};

use crate::{
    args::{Options, Reseal},
    config::{self, Loaded},
    environment::{Environment, get},
    out, store,
};

/// Opens each row with the former key, and writes it under the new one. Rows that are done are passed over, so a run that was
/// stopped is finished by the next.
pub(crate) fn run(options: &Options, asked: &Reseal, environment: Environment) -> anyhow::Result<ExitCode> {
    let former = get(&environment, &asked.from_salt_env).map(str::to_owned);
    let former = former.filter(|salt| !salt.is_empty()).with_context(|| {
        format!("{} is not set in the environment: it must hold the former salt key", asked.from_salt_env)
    })?;
    let Loaded { config, environment, .. } = config::load(options, environment)?;
    let of_file = config.general.master_key.as_ref().map(|key| key.expose().to_owned());
    let master = of_file.or_else(|| get(&environment, "LITELLM_MASTER_KEY").map(str::to_owned));
    let salt = get(&environment, "LITELLM_SALT_KEY").map(str::to_owned).or(master).filter(|salt| !salt.is_empty());
    let Some(salt) = salt else {
        bail!("there is no new key: set LITELLM_SALT_KEY, or general_settings.master_key");
    };
    let vault = Vault::of(salt.as_bytes()).opens_former(former.as_bytes());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let resealed = runtime.block_on(async {
        let clock = SystemClock::new();
        let (store, _) = store::open(options, &config, &environment, &clock).await?;
        reseal(&store, &vault, &SystemRandom, &clock).await.context("the store does not answer; run it again to go on")
    })?;
    out::line(&format!(
        "{} rows are sealed anew, {} were already; {} could not be opened",
        resealed.done,
        resealed.current,
        resealed.shut.len()
    ));
    resealed.shut.iter().for_each(|row| out::aside(&format!("error: {row}")));
    Ok(if resealed.shut.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

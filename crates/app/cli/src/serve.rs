//! The composition root: builds the gateway and its server once, and runs them.

use crate::{args::Options, config::Loaded};

/// Starts the gateway and returns when it has been stopped.
pub(crate) fn run(_options: &Options, _loaded: Loaded) -> anyhow::Result<()> {
    anyhow::bail!("this build has no server yet")
}

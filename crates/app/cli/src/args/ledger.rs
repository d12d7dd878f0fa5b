//! `ledger verify` and `ledger show`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `ledger`.
#[derive(Clone, Args)]
pub(crate) struct Ledger {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: LedgerCommand,
}

/// What is done with the ledger.
#[derive(Clone, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Compute every total again and compare the journals with the store; exit 0 if all is there, 1 if something differs or is
    /// missing, 2 if the ledger cannot be read. A gateway may be running.
    Verify(LedgerPlace),
    /// Print everything that is written down about a call, an attempt or an answer; exit 1 if nothing is.
    Show(LedgerShow),
}

/// Where the ledger is, and how it is told.
#[derive(Clone, Args)]
pub(crate) struct LedgerPlace {
    /// The configuration file, for its database_url [env: CONFIG_FILE_PATH].
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the gateway keeps its journal, and its keys and spend if no database is named [env: TOLLGATE_DATA_DIR]
    /// [default: tollgate-data].
    #[arg(long = "data-dir", alias = "data_dir", value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ledger show`.
#[derive(Clone, Args)]
pub(crate) struct LedgerShow {
    /// The id of a call (x-litellm-call-id), of an attempt, or of an answer.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) place: LedgerPlace,
}

impl Ledger {
    pub(super) fn place(&self) -> &LedgerPlace {
        match &self.command {
            LedgerCommand::Verify(place) => place,
            LedgerCommand::Show(show) => &show.place,
        }
    }
}

//! The tollgate command: reads flags, environment and configuration, and starts, checks or asks a gateway.

mod args;
mod check;
mod config;
mod dotenv;
mod environment;
mod explain;
mod ledger;
mod out;
mod prices;
mod probe;
#[cfg(test)]
mod reference;
mod reload;
mod reseal;
mod serve;
mod sharing;
mod store;
mod version;

use std::{path::Path, process::ExitCode};

use args::{Command, Credentials, Options, Prices};
use config::Refused;
use environment::Environment;

/// A call makes about a hundred small allocations; see ADR 0003 for what the system's allocator cost.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let mut environment = environment::of_process();
    let complaints = environment::add_dotenv(&mut environment, Path::new(""));
    let options = match args::parse(std::env::args_os().collect(), &environment) {
        Ok(options) => options,
        Err(error) => {
            // A reader that has gone is no failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&options, environment, &complaints) {
        Ok(code) => code,
        Err(error) => {
            // A finding says itself where it is and how grave.
            let is_finding = error.downcast_ref::<Refused>().is_some();
            out::aside(&if is_finding { error.to_string() } else { format!("error: {error:#}") });
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, environment: Environment, complaints: &[String]) -> anyhow::Result<ExitCode> {
    if options.start.version {
        version::print();
        return Ok(ExitCode::SUCCESS);
    }
    if matches!(options.command, Some(Command::Schema)) {
        out::line(&format!("{:#}", tollgate_config::schema()));
        return Ok(ExitCode::SUCCESS);
    }
    for complaint in complaints {
        out::aside(&format!("warning: {complaint}"));
    }
    args::refuse_unknown_word(options)?;
    if matches!(options.command, Some(Command::Check(_))) || options.start.validate_config {
        return check::run(options, environment);
    }
    if let Some(Command::Explain(explain)) = &options.command {
        return explain::run(options, explain, environment);
    }
    match &options.command {
        Some(Command::Ledger(asked)) => return Ok(ledger::run(options, asked, environment)),
        Some(Command::Prices(Prices::Update(update))) => return prices::update(options, update, &environment),
        Some(Command::Credentials(Credentials::Reseal(asked))) => return reseal::run(options, asked, environment),
        _ => {}
    }
    if options.ask.health {
        return probe::health(options, environment);
    }
    if let Some(url) = &options.ask.test {
        return probe::test(options, environment, url.as_deref());
    }
    let loaded = config::load(options, environment)?;
    check::warn(options, &loaded);
    if options.start.skip_server_startup {
        out::aside("everything before listening went well; not listening, as --skip_server_startup asks");
        return Ok(ExitCode::SUCCESS);
    }
    serve::run(options, loaded)?;
    Ok(ExitCode::SUCCESS)
}

//! The fake provider as a program, for clients that are not written in Rust.

use std::{env, io::Write, process::ExitCode};

use tollgate_kit::FakeProvider;

const USAGE: &str = "usage: fake-provider [--port N] [--key K]\n\
    answers like a provider on 127.0.0.1; without --port on a free port, without --key to any key;\n\
    GET /_calls shows what it has heard";

#[tokio::main]
async fn main() -> ExitCode {
    let Some((port, key)) = read_arguments(env::args().skip(1)) else {
        let _ = writeln!(std::io::stderr(), "{USAGE}");
        return ExitCode::FAILURE;
    };
    let provider = FakeProvider::start_on(port, key.as_deref()).await;
    let mut out = std::io::stdout();
    let _ = writeln!(out, "fake provider on {}", provider.url()).and_then(|()| out.flush());
    std::future::pending::<()>().await;
    ExitCode::SUCCESS
}

fn read_arguments(mut arguments: impl Iterator<Item = String>) -> Option<(u16, Option<String>)> {
    let (mut port, mut key) = (0, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => port = arguments.next()?.parse().ok()?,
            "--key" => key = Some(arguments.next()?),
            _ => return None,
        }
    }
    Some((port, key))
}

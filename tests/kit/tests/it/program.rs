//! The fake provider as a program.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use tollgate_kit::http;

#[tokio::test]
async fn the_program_says_where_it_listens_and_expects_its_key() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fake-provider"))
        .args(["--port", "0", "--key", "sk-of-the-program"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program is built");
    let mut line = String::new();
    let output = program.stdout.take().expect("its output is ours");
    BufReader::new(output).read_line(&mut line).expect("it says something");

    let url = line.trim().strip_prefix("fake provider on ").expect("the line that scripts wait for").to_owned();
    let models = format!("{url}/v1/models");
    let right = http::get(&models, &[("authorization", "Bearer sk-of-the-program")]).await;
    let wrong = http::get(&models, &[("authorization", "Bearer sk-of-another")]).await;
    program.kill().expect("it runs until it is ended");
    program.wait().expect("it has ended");

    assert_eq!((right.status, wrong.status), (200, 401));
}

#[test]
fn an_unknown_argument_is_refused_with_the_usage() {
    let ended =
        Command::new(env!("CARGO_BIN_EXE_fake-provider")).arg("--nonsense").output().expect("the program is built");

    assert!(!ended.status.success());
    assert!(String::from_utf8_lossy(&ended.stderr).contains("usage: fake-provider"));
}

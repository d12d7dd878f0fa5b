//! The gateway as a process, tried with a shell script in its place.

use tollgate_kit::{Gateway, TempFolder};

fn script(folder: &TempFolder, text: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.write("tollgate", format!("#!/bin/sh\n{text}\n"));
    let made = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755));
    assert!(made.is_ok(), "{made:?}");
    path
}

#[tokio::test]
async fn a_gateway_is_ready_when_it_says_where_it_listens() {
    let folder = TempFolder::new();
    let binary = script(
        &folder,
        "echo \"$@\" $FLAVOUR >&2; cat config.yaml; echo \"Proxy running on http://127.0.0.1:$6/\"; sleep 60",
    );

    let gateway =
        Gateway::with().binary(binary).config("model_list: []").port(4711).environment("FLAVOUR", "mint").start().await;

    assert_eq!(gateway.at("/health"), "http://127.0.0.1:4711/health");
    let arguments = gateway.wait_for_line("--config").await;
    assert!(arguments.ends_with("--host 127.0.0.1 --port 4711 mint"), "{arguments}");
    gateway.wait_for_line("model_list").await;
}

#[tokio::test]
async fn a_stopped_gateway_leaves_its_code_and_its_output() {
    let folder = TempFolder::new();
    let binary =
        script(&folder, "trap 'echo bye; exit 7' TERM; echo Proxy running on http://h:1; while :; do sleep 0.05; done");
    let gateway = Gateway::with().binary(binary).start().await;

    let ended = gateway.stop().await;

    assert_eq!(ended.code, Some(7));
    assert!(ended.output.ends_with("bye"), "{}", ended.output);
}

#[tokio::test]
async fn a_command_runs_to_its_end() {
    let folder = TempFolder::new();
    let binary = script(&folder, "echo wrong >&2; exit 1");

    let ended = Gateway::with().binary(binary).argument("check").run().await;

    assert_eq!((ended.code, ended.output.as_str()), (Some(1), "wrong"));
}

#[tokio::test]
#[should_panic(expected = "port is taken")]
async fn a_gateway_that_ends_at_once_fails_the_test_with_what_it_said() {
    let folder = TempFolder::new();
    let binary = script(&folder, "echo port is taken >&2; exit 1");

    Gateway::with().binary(binary).config("").start().await;
}

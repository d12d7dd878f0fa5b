//! The ways to keys, against a server that checks what it is asked and knows no more than it is told.

use std::sync::{Arc, Mutex};

use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tollgate_wire::clock::Clock;

use super::*;
use crate::ClientSettings;

/// 2026-01-01T00:00:00Z, where nobody looks at a real clock.
const NOW: Duration = Duration::from_secs(1_767_225_600);
/// When the server's keys expire, in its words and in seconds.
const EXPIRY: (&str, u64) = ("2099-01-01T00:00:00Z", 4_070_908_800);

struct Still;

impl Clock for Still {
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn unix(&self) -> Duration {
        NOW
    }
}

/// A server that answers `path → body`, and what it was asked.
struct Cloud {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Cloud {
    /// `answers`: what a request must hold, and the answer. What holds none of them is refused.
    async fn open(answers: Vec<(&'static str, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let request = read(&mut socket).await;
                let answer = answers.iter().find(|(wanted, _)| request.contains(wanted)).map(|(_, answer)| answer);
                let (status, body) = answer.map_or(("403 Forbidden", ""), |answer| ("200 OK", answer.as_str()));
                let head = "connection: close\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600";
                let length = body.len();
                let whole = format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}");
                seen.lock().unwrap().push(request);
                socket.write_all(whole.as_bytes()).await.unwrap();
            }
        });
        Self { address, asked, _serving: serving }
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().join("\n----\n")
    }
}

/// One request, with all of its body.
async fn read(socket: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = socket.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

/// STS's answer to an action.
fn sts(action: &str, id: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>given-secret</SecretAccessKey>\
         <SessionToken>given-session</SessionToken><Expiration>{}</Expiration></Credentials></{action}Result>\
         </{action}Response>",
        EXPIRY.0
    )
}

fn client() -> Client {
    Client::new(ClientSettings::default(), Arc::new(Still)).unwrap()
}

/// What comes of a source in an environment of its own, with files of its own.
async fn of(source: &AwsSource, env: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Credentials, AwsKeysError> {
    let loader = aws_config::defaults(BehaviorVersion::latest()).env(Env::from_slice(env)).fs(Fs::from_slice(files));
    credentials(source, &client(), loader, ProfileFileCredentialsProvider::builder()).await
}

fn source() -> AwsSource {
    AwsSource { region: "eu-central-1".to_owned(), ..AwsSource::default() }
}

fn configured() -> Option<(Secret, Secret, Option<Secret>)> {
    Some((Secret::new("AKIAOWN"), Secret::new("own-secret"), None))
}

const ROLE: &str = "arn:aws:iam::111122223333:role/models";

#[tokio::test]
async fn a_role_is_taken_on_with_the_configured_keys() {
    let cloud = Cloud::open(vec![("Action=AssumeRole&", sts("AssumeRole", "ASIAROLE"))]).await;
    let source = AwsSource {
        keys: configured(),
        role: Some(ROLE.to_owned()),
        session_name: Some("calls".to_owned()),
        external_id: Some("ext-7".to_owned()),
        sts_endpoint: Some(cloud.address.clone()),
        ..source()
    };

    let found = of(&source, &[], &[]).await.unwrap();

    assert_eq!((found.access_key_id(), found.session_token()), ("ASIAROLE", Some("given-session")));
    let asked = cloud.asked();
    for wanted in
        ["RoleSessionName=calls", "ExternalId=ext-7", "role%2Fmodels", "Credential=AKIAOWN/", "/eu-central-1/sts/"]
    {
        assert!(asked.contains(wanted), "{wanted} in {asked}");
    }
    assert!(!asked.contains("own-secret"));
}

#[tokio::test]
async fn keys_know_how_long_they_live() {
    let cloud = Cloud::open(vec![("Action=AssumeRole&", sts("AssumeRole", "ASIAROLE"))]).await;
    let source = AwsSource {
        keys: configured(),
        role: Some(ROLE.to_owned()),
        sts_endpoint: Some(cloud.address.clone()),
        ..source()
    };

    let keys = keys(&source, &client()).await.unwrap();

    assert_eq!(keys.lives, Some(Duration::from_secs(EXPIRY.1) - NOW));
    assert_eq!(keys.secret_access_key.expose(), "given-secret");
}

#[tokio::test]
async fn a_web_identity_is_shown_and_nothing_is_signed() {
    let answer = sts("AssumeRoleWithWebIdentity", "ASIAWEB");
    let cloud = Cloud::open(vec![("WebIdentityToken=the-token", answer)]).await;
    let source = AwsSource {
        role: Some(ROLE.to_owned()),
        web_identity_token: Some(Secret::new("the-token")),
        sts_endpoint: Some(cloud.address.clone()),
        ..source()
    };

    let found = of(&source, &[("AWS_EC2_METADATA_DISABLED", "true")], &[]).await.unwrap();

    assert_eq!(found.access_key_id(), "ASIAWEB");
    let asked = cloud.asked();
    assert!(
        asked.contains("RoleSessionName=tollgate") && !asked.to_ascii_lowercase().contains("authorization:"),
        "{asked}"
    );
}

/// What comes of a profile in this file, in an environment with keys of its own.
async fn profile(name: &str, file: &Path) -> Result<Credentials, AwsKeysError> {
    let env = Env::from_slice(&[("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "e")]);
    let loader = aws_config::defaults(BehaviorVersion::latest()).env(env).fs(Fs::from_slice(&[]));
    let files = EnvConfigFiles::builder().with_file(EnvConfigFileKind::Credentials, file).build();
    let source = AwsSource { profile_name: Some(name.to_owned()), ..source() };
    let profiles = ProfileFileCredentialsProvider::builder().profile_files(files);
    credentials(&source, &client(), loader, profiles).await
}

#[tokio::test]
async fn a_profile_that_is_named_goes_before_the_environment() {
    let name = format!("tollgate-profile-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let text = "[plain]\naws_access_key_id = AKIAPLAIN\naws_secret_access_key = s\n\
                [by-process]\ncredential_process = printf '{\"Version\":1,\"AccessKeyId\":\"AKIAPROC\",\"SecretAccessKey\":\"s\"}'\n";
    std::fs::write(&file, text).unwrap();

    let plain = profile("plain", &file).await.unwrap();
    let by_process = profile("by-process", &file).await.unwrap();
    let absent = profile("absent", &file).await.unwrap_err();

    std::fs::remove_file(&file).unwrap();
    assert_eq!((plain.access_key_id(), by_process.access_key_id()), ("AKIAPLAIN", "AKIAPROC"));
    assert_eq!(absent.to_string(), "AWS gave no keys for the profile 'absent'");
}

#[tokio::test]
async fn a_container_gets_its_keys_from_its_own_address() {
    let answer =
        format!(r#"{{"AccessKeyId":"ASIABOX","SecretAccessKey":"s","Token":"t","Expiration":"{}"}}"#, EXPIRY.0);
    let cloud = Cloud::open(vec![("authorization: box-token", answer)]).await;
    let address = format!("{}/role", cloud.address);
    let env =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "box-token")];

    let found = of(&source(), &env, &[]).await.unwrap();

    assert_eq!((found.access_key_id(), found.session_token()), ("ASIABOX", Some("t")));
    assert!(cloud.asked().starts_with("GET /role "));
}

#[tokio::test]
async fn an_instance_is_asked_with_a_token_first() {
    let answer = format!(
        r#"{{"Code":"Success","AccessKeyId":"ASIAINST","SecretAccessKey":"s","Token":"t","Expiration":"{}"}}"#,
        EXPIRY.0
    );
    let cloud = Cloud::open(vec![
        ("PUT /latest/api/token", "imds-token".to_owned()),
        ("security-credentials-extended/box-role", answer.clone()),
        ("security-credentials/box-role", answer),
        ("security-credentials", "box-role".to_owned()),
    ])
    .await;
    let env = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", cloud.address.as_str())];

    let found = of(&source(), &env, &[]).await.unwrap();

    assert_eq!(found.access_key_id(), "ASIAINST");
    assert!(cloud.asked().contains("x-aws-ec2-metadata-token: imds-token"));
}

#[tokio::test]
async fn a_refusal_names_the_role_and_no_secret() {
    let cloud = Cloud::open(Vec::new()).await;
    let source = AwsSource {
        keys: configured(),
        role: Some(ROLE.to_owned()),
        sts_endpoint: Some(cloud.address.clone()),
        ..source()
    };

    let refused = of(&source, &[], &[]).await.unwrap_err();

    let shown = format!("{refused} {refused:?}");
    assert!(refused.to_string().contains(ROLE) && !shown.contains("own-secret"), "{shown}");
}

#[tokio::test]
async fn a_web_identity_without_a_role_or_a_readable_token_is_refused() {
    let token = |text: &str| AwsSource { web_identity_token: Some(Secret::new(text)), keys: configured(), ..source() };
    assert!(matches!(of(&token("t"), &[], &[]).await, Err(AwsKeysError::NoRole)));
    let with_role = |text: &str| AwsSource { role: Some(ROLE.to_owned()), ..token(text) };
    assert!(matches!(of(&with_role("oidc/file//no/such/file"), &[], &[]).await, Err(AwsKeysError::TokenFile { .. })));
    assert!(matches!(of(&with_role("oidc/unheard/of"), &[], &[]).await, Err(AwsKeysError::UnknownToken)));
}

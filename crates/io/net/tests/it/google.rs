//! Google's tokens, from servers that check what they are asked.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use tollgate_net::{
    ClientSettings,
    credentials::google::{GoogleSource, GoogleToken, token},
};
use tollgate_wire::Secret;

use crate::peer::{Server, client, seconds};

const NOW: u64 = 1_700_000_000;
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

fn answer(status: &str, body: &Value) -> String {
    let body = body.to_string();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn source(file: &Value) -> GoogleSource {
    GoogleSource { credentials: Some(Secret::new(file.to_string())), ..GoogleSource::default() }
}

/// Asks for a token while `server` gives these answers; the requests that it got.
async fn exchanged(
    server: &Server,
    source: &GoogleSource,
    answers: &[String],
) -> (Result<GoogleToken, String>, Vec<String>) {
    let client = client(ClientSettings::default());
    let serving = async {
        let mut requests = Vec::new();
        for answer in answers {
            let (_peer, request) = server.answer(answer).await;
            requests.push(request);
        }
        requests
    };
    let (told, requests) = tokio::join!(token(source, &client, seconds(NOW)), serving);
    (told.map_err(|error| error.to_string()), requests)
}

fn form(request: &str) -> Vec<(String, String)> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let decoded = |text: &str| text.replace("%3A", ":").replace("%2F", "/").replace("%40", "@");
    body.split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn field<'f>(form: &'f [(String, String)], name: &str) -> &'f str {
    &form.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name} in the form")).1
}

fn pem(key: &KeyPair) -> String {
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(key).unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

#[tokio::test]
async fn a_service_account_signs_who_it_is() {
    let server = Server::start().await;
    let url = format!("http://{}/token", server.authority());
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let file = json!({"type": "service_account", "client_email": "gate@p.iam.test", "private_key_id": "k1",
        "private_key": pem(&key), "token_uri": url});
    let given = answer("200 OK", &json!({"access_token": "ya29.given", "expires_in": 3599, "token_type": "Bearer"}));
    let (told, requests) = exchanged(&server, &source(&file), &[given]).await;
    let told = told.unwrap();
    assert_eq!((told.token.expose(), told.lives), ("ya29.given", Some(seconds(3599))));

    assert!(requests[0].starts_with("POST /token HTTP/1.1\r\n"), "{}", requests[0]);
    let form = form(&requests[0]);
    assert_eq!(field(&form, "grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (signed, signature) = field(&form, "assertion").rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).expect("the signature holds");
    let part = |text: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap() };
    let (header, claims) = signed.split_once('.').unwrap();
    assert_eq!(part(header), json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let claimed = json!({"iss": "gate@p.iam.test", "scope": SCOPE, "aud": url, "iat": NOW, "exp": NOW + 3600});
    assert_eq!(part(claims), claimed);
}

#[tokio::test]
async fn a_user_shows_the_token_of_the_login() {
    let server = Server::start().await;
    let file = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r/1",
        "token_uri": format!("http://{}/token", server.authority())});
    let given = answer("200 OK", &json!({"access_token": "of-the-user", "expires_in": "60"}));
    let (told, requests) = exchanged(&server, &source(&file), &[given]).await;
    assert_eq!(told.unwrap().lives, Some(seconds(60)));
    let form = form(&requests[0]);
    let said = ["grant_type", "client_id", "client_secret", "refresh_token"].map(|name| field(&form, name));
    assert_eq!(said, ["refresh_token", "c", "s", "r/1"]);
}

#[tokio::test]
async fn a_federated_identity_is_exchanged_and_speaks_for_an_account() {
    let server = Server::start().await;
    let base = format!("http://{}", server.authority());
    let file = json!({"type": "external_account", "audience": "//iam/pools/x", "token_url": format!("{base}/sts"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": {"url": format!("{base}/identity"), "headers": {"x-secret": "yes"},
            "format": {"type": "json", "subject_token_field_name": "value"}},
        "service_account_impersonation_url": format!("{base}/sa:generateAccessToken")});
    let answers = [
        answer("200 OK", &json!({"value": "token-of-elsewhere"})),
        answer("200 OK", &json!({"access_token": "federated", "expires_in": 3600})),
        answer("200 OK", &json!({"accessToken": "of-the-account", "expireTime": "2026-01-01T00:00:00Z"})),
    ];
    let (told, requests) = exchanged(&server, &source(&file), &answers).await;
    assert_eq!(told.unwrap().token.expose(), "of-the-account");
    assert!(requests[0].starts_with("GET /identity ") && requests[0].contains("x-secret: yes"), "{}", requests[0]);
    let form = form(&requests[1]);
    assert_eq!(field(&form, "subject_token"), "token-of-elsewhere");
    assert_eq!(field(&form, "audience"), "//iam/pools/x");
    assert_eq!(field(&form, "scope"), SCOPE);
    assert!(requests[2].contains("authorization: Bearer federated") && requests[2].contains(SCOPE), "{}", requests[2]);
}

#[tokio::test]
async fn without_credentials_the_machine_itself_is_asked() {
    let server = Server::start().await;
    let source = GoogleSource {
        well_known: Some("/nowhere/application_default_credentials.json".to_owned()),
        metadata_host: Some(server.authority()),
        ..GoogleSource::default()
    };
    let given = answer("200 OK", &json!({"access_token": "of-the-machine...", "expires_in": 100}));
    let (told, requests) = exchanged(&server, &source, &[given]).await;
    assert_eq!(told.unwrap().token.expose(), "of-the-machine");
    let path = "GET /computeMetadata/v1/instance/service-accounts/default/token ";
    assert!(requests[0].starts_with(path) && requests[0].contains("metadata-flavor: Google"), "{}", requests[0]);
}

#[tokio::test]
async fn a_refusal_is_told_without_the_words_of_the_server() {
    let server = Server::start().await;
    let file = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "hidden",
        "token_uri": format!("http://{}/token", server.authority())});
    let body = json!({"error": "invalid_grant", "error_description": "the token hidden has expired"});
    let (told, _) = exchanged(&server, &source(&file), &[answer("400 Bad Request", &body)]).await;
    assert_eq!(told.unwrap_err(), format!("{} answered 400 (invalid_grant)", server.authority()));
    let (told, _) = exchanged(&server, &source(&file), &[answer("200 OK", &json!({}))]).await;
    assert_eq!(told.unwrap_err(), format!("{} answered without a token", server.authority()));
}

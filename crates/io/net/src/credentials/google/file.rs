//! The files that Google's console and gcloud write.

use serde_json::{Map, Value};
use tollgate_wire::Secret;

use super::GoogleError;

/// Largest file that is read, bytes; Google's are under 4 KiB.
const MAX_BYTES: usize = 256 << 10;

/// What a file holds.
pub(super) enum CredentialsFile {
    ServiceAccount {
        email: String,
        key_id: Option<String>,
        private_key: Secret,
        token_url: String,
    },
    User {
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
        token_url: String,
    },
    Federated {
        audience: String,
        subject_type: String,
        token_url: String,
        subject: Subject,
        impersonation_url: Option<String>,
    },
    /// Another account in whose name calls are made, with the one that may do so.
    Impersonated {
        url: String,
        source: Box<CredentialsFile>,
    },
}

/// Where the token of another identity provider is, and under which member of a JSON document, if it is one.
pub(super) struct Subject {
    pub(super) place: Place,
    pub(super) member: Option<String>,
}

pub(super) enum Place {
    File(String),
    Url { url: String, headers: Vec<(String, String)> },
}

/// Google's token endpoint, where a file names none.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

pub(super) async fn read(path: &str) -> std::io::Result<Secret> {
    let too_large = || std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is too large for credentials");
    if tokio::fs::metadata(path).await?.len() > MAX_BYTES as u64 {
        return Err(too_large());
    }
    tokio::fs::read_to_string(path).await.map(Secret::new)
}

pub(super) fn parse(text: &Secret) -> Result<CredentialsFile, GoogleError> {
    // The parser's own words may repeat what stands in the file.
    let file: Value =
        serde_json::from_str(text.expose()).map_err(|_| GoogleError::Format("it is no JSON".to_owned()))?;
    let Value::Object(file) = file else { return Err(GoogleError::Format("it is no JSON object".to_owned())) };
    of(&file, true)
}

fn of(file: &Map<String, Value>, may_impersonate: bool) -> Result<CredentialsFile, GoogleError> {
    let given = |name: &str| file.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let needed = |name: &str| given(name).ok_or_else(|| GoogleError::Format(format!("`{name}` is missing")));
    let token_url = |name: &str| given(name).unwrap_or_else(|| TOKEN_URL.to_owned());
    match given("type").as_deref() {
        Some("service_account") => Ok(CredentialsFile::ServiceAccount {
            email: needed("client_email")?,
            key_id: given("private_key_id"),
            private_key: Secret::new(needed("private_key")?),
            token_url: token_url("token_uri"),
        }),
        Some("authorized_user") => Ok(CredentialsFile::User {
            client_id: needed("client_id")?,
            client_secret: Secret::new(needed("client_secret")?),
            refresh_token: Secret::new(needed("refresh_token")?),
            token_url: token_url("token_uri"),
        }),
        Some("external_account") => Ok(CredentialsFile::Federated {
            audience: needed("audience")?,
            subject_type: needed("subject_token_type")?,
            token_url: needed("token_url")?,
            subject: subject(file.get("credential_source"))?,
            impersonation_url: given("service_account_impersonation_url"),
        }),
        Some("impersonated_service_account") if may_impersonate => {
            let source = file.get("source_credentials").and_then(Value::as_object);
            let source = source.ok_or_else(|| GoogleError::Format("`source_credentials` is missing".to_owned()))?;
            Ok(CredentialsFile::Impersonated {
                url: needed("service_account_impersonation_url")?,
                source: Box::new(of(source, false)?),
            })
        }
        Some(other) => Err(GoogleError::Kind(other.to_owned())),
        None => Err(GoogleError::Format("`type` is missing".to_owned())),
    }
}

fn subject(source: Option<&Value>) -> Result<Subject, GoogleError> {
    let text = |name: &str| source.and_then(|source| source.get(name)?.as_str()).map(str::to_owned);
    let place = if let Some(path) = text("file") {
        Place::File(path)
    } else if let (Some(url), None) = (text("url"), text("environment_id")) {
        let headers = source.and_then(|source| source.get("headers")?.as_object()).into_iter().flatten();
        let headers = headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Place::Url { url, headers: headers.collect() }
    } else {
        return Err(GoogleError::Kind("external_account without a file or url".to_owned()));
    };
    let format = source.and_then(|source| source.get("format"));
    let is_json = format.and_then(|format| format.get("type")?.as_str()) == Some("json");
    let member = format.and_then(|format| format.get("subject_token_field_name")?.as_str()).unwrap_or("access_token");
    Ok(Subject { place, member: is_json.then(|| member.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(&Secret::new(text)).err().expect("it is refused").to_string()
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_without_its_content() {
        assert!(refused(r#"{"private_key": "hidden"#).ends_with("it is no JSON"));
        let told = refused(r#"{"type": "service_account", "private_key": "hidden"}"#);
        assert!(told.contains("client_email") && !told.contains("hidden"), "{told}");
        assert!(refused(r#"{"type": "gdch_service_account"}"#).contains("gdch_service_account"));
        let of_aws = r#"{"type": "external_account", "audience": "a", "subject_token_type": "t", "token_url": "u",
            "credential_source": {"environment_id": "aws1", "url": "u"}}"#;
        assert!(refused(of_aws).contains("without a file or url"));
    }
}

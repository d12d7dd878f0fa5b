//! Credentials that are no key in a header: accounts of the clouds, which somebody outside turns into a [`Grant`], and
//! signatures over the finished request.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign as sign_v4},
    sign::v4,
};
use http::{HeaderName, HeaderValue, header};
use tollgate_wire::{Failure, FailureKind, Secret, http::Outgoing};

use crate::{
    provider::Auth,
    target::{Target, secret_value},
};

/// Whose account calls are made with. Holds what the configuration says; nothing here has been fetched.
#[derive(Clone, Debug)]
pub enum Account {
    /// AWS.
    Aws(AwsAccount),
    /// Google Cloud.
    Google(GoogleAccount),
    /// Microsoft Entra.
    Entra(EntraAccount),
    /// An OAuth token endpoint.
    Exchange(TokenExchange),
}

/// How AWS keys are found. Without keys, role or profile it is AWS's own chain: environment, files, container, instance.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "LiteLLM's own names, without `aws_`; docs/reference/config.md says what each means")]
pub struct AwsAccount {
    pub access_key_id: Option<Secret>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// Where the request is signed for, and where STS is asked.
    pub region: String,
    pub profile_name: Option<String>,
    pub role_name: Option<String>,
    pub session_name: Option<String>,
    pub external_id: Option<String>,
    pub web_identity_token: Option<Secret>,
    pub sts_endpoint: Option<String>,
}

/// How a Google token is found. Without credentials it is Google's own chain: environment, gcloud's file, metadata server.
#[derive(Clone, Debug, Default)]
pub struct GoogleAccount {
    /// The text of a credentials file, or the path of one.
    pub credentials: Option<Secret>,
    /// The path of the file that gcloud keeps, for where no credentials are given.
    pub well_known: Option<String>,
    /// Where the metadata server is, if not where Google has it.
    pub metadata_host: Option<String>,
}

/// How an Entra token is found, the first of these that is there: the secret of an application, a user's password, the
/// token file of a workload, the endpoint of an app service, the machine's own identity where it may be used.
/// [`crate::resolve`] adds what the environment says.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "LiteLLM's own names; docs/reference/config.md says what each means")]
pub struct EntraAccount {
    pub tenant_id: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// What the token is for; `LiteLLM`'s default where it is empty.
    pub scope: String,
    /// Entra's address, where it is not Azure's public cloud.
    pub authority: Option<String>,
    /// A file with a token that the platform signed and renews.
    pub token_file: Option<String>,
    /// The endpoint of an app service, and the header that it wants.
    pub endpoint: Option<(String, Secret)>,
    /// The machine's own identity may be used (`enable_azure_ad_token_refresh`).
    pub machine: bool,
    /// Who is asked for it, if not the machine's metadata address.
    pub machine_host: Option<String>,
}

/// A `POST` of a form that answers `{"access_token", "expires_in"}` (RFC 6749 section 5.1).
#[derive(Clone, Debug)]
pub struct TokenExchange {
    /// Where.
    pub url: String,
    /// The form.
    pub form: Vec<(&'static str, Secret)>,
    /// User and password of HTTP's basic authentication, if it wants them.
    pub basic: Option<(Secret, Secret)>,
}

/// What an account is turned into, for a while.
#[derive(Clone, Debug)]
pub enum Grant {
    /// AWS keys.
    Aws {
        /// Names the keys; no secret by itself, but not shown either.
        access_key_id: Secret,
        /// Signs.
        secret_access_key: Secret,
        /// Goes with temporary keys.
        session_token: Option<Secret>,
    },
    /// A bearer token.
    Token(Secret),
}

impl Account {
    /// All that tells this account from others, secrets included: to be hashed, never to be shown.
    #[must_use]
    pub fn identity(&self) -> Secret {
        let shown = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        let parts: Vec<Option<String>> = match self {
            Self::Aws(aws) => vec![
                Some("aws".to_owned()),
                shown(&aws.access_key_id),
                shown(&aws.secret_access_key),
                shown(&aws.session_token),
                Some(aws.region.clone()),
                aws.profile_name.clone(),
                aws.role_name.clone(),
                aws.session_name.clone(),
                aws.external_id.clone(),
                shown(&aws.web_identity_token),
                aws.sts_endpoint.clone(),
            ],
            Self::Google(google) => vec![
                Some("google".to_owned()),
                shown(&google.credentials),
                google.well_known.clone(),
                google.metadata_host.clone(),
            ],
            Self::Entra(entra) => vec![
                Some("entra".to_owned()),
                entra.tenant_id.clone(),
                entra.client_id.clone(),
                shown(&entra.client_secret),
                entra.username.clone(),
                shown(&entra.password),
                Some(entra.scope.clone()),
                entra.authority.clone(),
                entra.token_file.clone(),
                entra.endpoint.as_ref().map(|(url, header)| format!("{url} {}", header.expose())),
                entra.machine.then(|| "machine".to_owned()),
                entra.machine_host.clone(),
            ],
            Self::Exchange(exchange) => {
                let form = exchange.form.iter().flat_map(|(name, value)| [*name, value.expose()]);
                let basic = exchange.basic.iter().flat_map(|(user, password)| [user.expose(), password.expose()]);
                let parts = ["exchange", exchange.url.as_str()].into_iter().chain(form).chain(basic);
                parts.map(|part| Some(part.to_owned())).collect()
            }
        };
        Secret::new(format!("{parts:?}"))
    }

    /// The grant, where the configuration itself holds all of it.
    #[must_use]
    pub fn stated(&self) -> Option<Grant> {
        let Self::Aws(aws) = self else { return None };
        if aws.role_name.is_some() {
            return None;
        }
        Some(Grant::Aws {
            access_key_id: aws.access_key_id.clone()?,
            secret_access_key: aws.secret_access_key.clone()?,
            session_token: aws.session_token.clone(),
        })
    }
}

/// Puts the grant on a finished request: a bearer token, or a signature over all of it.
///
/// # Errors
/// `Misconfigured` when the grant cannot stand in a header, or the request cannot be signed.
pub fn sign(outgoing: &mut Outgoing, target: &Target, grant: &Grant, now: Duration) -> Result<(), Failure> {
    match grant {
        Grant::Token(token) => {
            let value = secret_value(&format!("Bearer {}", token.expose()))?;
            outgoing.headers.insert(header::AUTHORIZATION, value);
            Ok(())
        }
        Grant::Aws { access_key_id, secret_access_key, session_token } => {
            let credentials = Credentials::new(
                access_key_id.expose(),
                secret_access_key.expose(),
                session_token.as_ref().map(|token| token.expose().to_owned()),
                None,
                "tollgate",
            );
            let Auth::Aws(service) = target.provider.auth else {
                return Err(Failure::bug("AWS keys for a provider that is not AWS's"));
            };
            let region = target.fact("region").unwrap_or("us-east-1");
            sign_aws(outgoing, &credentials, region, service, SystemTime::UNIX_EPOCH + now)
        }
    }
}

/// AWS's signature, version 4, over method, path, query, body and the headers that cannot change on the way.
fn sign_aws(
    outgoing: &mut Outgoing,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: SystemTime,
) -> Result<(), Failure> {
    let broken =
        |what: String| Failure::new(FailureKind::Misconfigured, format!("the request cannot be signed: {what}"));
    let identity = credentials.clone().into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::Headers;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| broken(error.to_string()))?;
    // What a proxy may change is not signed, and what is not text cannot be.
    let headers = outgoing.headers.iter().filter(|(name, _)| *name != header::USER_AGENT);
    let headers: Vec<(&str, &str)> =
        headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    let request = SignableRequest::new(
        outgoing.method.as_str(),
        outgoing.url.as_str(),
        headers.into_iter(),
        SignableBody::Bytes(&outgoing.body),
    )
    .map_err(|error| broken(error.to_string()))?;
    let (instructions, _) = sign_v4(request, &params.into()).map_err(|error| broken(error.to_string()))?.into_parts();
    let (headers, _) = instructions.into_parts();
    for signed in headers {
        let name = HeaderName::try_from(signed.name()).map_err(|error| broken(error.to_string()))?;
        let mut value = HeaderValue::try_from(signed.value()).map_err(|error| broken(error.to_string()))?;
        value.set_sensitive(signed.sensitive() || name == header::AUTHORIZATION);
        outgoing.headers.insert(name, value);
    }
    Ok(())
}

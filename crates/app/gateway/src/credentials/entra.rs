//! Entra's tokens for deployments on Azure.

use tollgate_net::{
    Client,
    credentials::azure::{self, Login, LoginError, Proof},
};
use tollgate_providers::auth::{EntraAccount, Grant};
use tollgate_wire::{Failure, FailureKind, clock::Clock};

use super::{Kept, UNSAID, kind_of, kind_of_status, until};

/// Entra of Azure's public cloud.
const ENTRA: &str = "https://login.microsoftonline.com";
/// The grant of an account at Entra.
///
/// # Errors
/// `Authentication` when Entra gives no token, as in [`super::Credentials::grant`].
pub(super) async fn grant(entra: &EntraAccount, client: &Client, clock: &dyn Clock) -> Result<Kept, Failure> {
    let now = clock.monotonic();
    let failed = |kind, what: String| Failure::new(kind, format!("Microsoft Entra gave no token: {what}"));
    let nobody = || failed(FailureKind::Authentication, "nothing says who asks".to_owned());
    let login = login_of(entra).ok_or_else(nobody)?;
    let token = azure::login(&login, client, clock.unix()).await.map_err(|error| {
        let kind = match &error {
            LoginError::Net { source, .. } => kind_of(source),
            LoginError::Refused { status, .. } => kind_of_status(*status),
            _ => FailureKind::Authentication,
        };
        failed(kind, error.to_string())
    })?;
    let lives = token.lives.unwrap_or(UNSAID);
    Ok(Kept { grant: Grant::Token(token.secret), until: Some(until(now, lives)) })
}

/// Who logs in, the surest proof first.
fn login_of(entra: &EntraAccount) -> Option<Login> {
    let authority = entra.authority.clone().unwrap_or_else(|| ENTRA.to_owned());
    let whose = || Some((entra.tenant_id.clone()?, entra.client_id.clone()?));
    let proof = if let Some(secret) = &entra.client_secret {
        let (tenant, client) = whose()?;
        Proof::Secret { tenant, client, secret: secret.clone() }
    } else if let Some(password) = &entra.password {
        let (tenant, client) = whose()?;
        Proof::Password { tenant, client, user: entra.username.clone()?, password: password.clone() }
    } else if let (Some(file), Some((tenant, client))) = (&entra.token_file, whose()) {
        Proof::Workload { tenant, client, file: file.into() }
    } else if let Some((url, header)) = &entra.endpoint {
        Proof::Endpoint { url: url.clone(), header: header.clone(), client: entra.client_id.clone() }
    } else {
        Proof::Machine { host: entra.machine_host.clone(), client: entra.client_id.clone() }
    };
    Some(Login { authority, scope: entra.scope.clone(), proof })
}

//! Google's tokens for deployments on Google Cloud.

use tollgate_net::{
    Client,
    credentials::google::{GoogleError, GoogleSource, token},
};
use tollgate_providers::auth::{GoogleAccount, Grant};
use tollgate_wire::{Failure, FailureKind, clock::Clock};

use super::{Kept, UNSAID, kind_of, kind_of_status, until};

pub(super) async fn grant(account: &GoogleAccount, client: &Client, clock: &dyn Clock) -> Result<Kept, Failure> {
    let source = GoogleSource {
        credentials: account.credentials.clone(),
        well_known: account.well_known.clone(),
        metadata_host: account.metadata_host.clone(),
    };
    let now = clock.monotonic();
    let token = token(&source, client, clock.unix()).await.map_err(|error| {
        let kind = match &error {
            GoogleError::Net { source, .. } => kind_of(source),
            GoogleError::Refused { status, .. } => kind_of_status(*status),
            _ => FailureKind::Authentication,
        };
        Failure::new(kind, format!("Google gave no token for this deployment: {error}"))
    })?;
    Ok(Kept { grant: Grant::Token(token.token), until: Some(until(now, token.lives.unwrap_or(UNSAID))) })
}

//! AWS keys that the configuration does not hold itself.

use std::{error::Error, time::Duration};

use tollgate_net::{
    Client,
    credentials::aws::{AwsKeysError, AwsSource, keys},
};
use tollgate_providers::auth::{AwsAccount, Grant};
use tollgate_wire::{Failure, FailureKind};

use super::{Kept, until};

/// The keys of an account.
///
/// # Errors
/// `Authentication` when AWS gives none, `Misconfigured` when a setting is missing.
pub(super) async fn fetch(account: &AwsAccount, client: &Client, now: Duration) -> Result<Kept, Failure> {
    let keys = Box::pin(keys(&source(account), client)).await.map_err(|error| failure(&error))?;
    let grant = Grant::Aws {
        access_key_id: keys.access_key_id,
        secret_access_key: keys.secret_access_key,
        session_token: keys.session_token,
    };
    Ok(Kept { grant, until: keys.lives.map(|lives| until(now, lives)) })
}

fn source(account: &AwsAccount) -> AwsSource {
    let keys = account.access_key_id.clone().zip(account.secret_access_key.clone());
    AwsSource {
        keys: keys.map(|(id, secret)| (id, secret, account.session_token.clone())),
        region: account.region.clone(),
        profile_name: account.profile_name.clone(),
        role: account.role_name.clone(),
        session_name: account.session_name.clone(),
        external_id: account.external_id.clone(),
        web_identity_token: account.web_identity_token.clone(),
        sts_endpoint: account.sts_endpoint.clone(),
    }
}

/// What AWS's library says names accounts and users: it is for the log.
fn failure(error: &AwsKeysError) -> Failure {
    let kind = match error {
        AwsKeysError::NoRole | AwsKeysError::TokenFile { .. } | AwsKeysError::UnknownToken => {
            FailureKind::Misconfigured
        }
        AwsKeysError::None { .. } => FailureKind::Authentication,
        AwsKeysError::Late => FailureKind::Connection,
    };
    let failure = Failure::new(kind, error.to_string());
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    if causes.is_empty() { failure } else { failure.with_detail(causes.join(": ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_learns_whose_keys_are_missing_and_the_log_learns_why() {
        let error = AwsKeysError::None { whose: "the role 'r'".to_owned(), source: "user u may not".into() };
        let failure = failure(&error);
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::Authentication, "AWS gave no keys for the role 'r'")
        );
        assert_eq!(failure.detail.as_deref(), Some("user u may not"));
    }
}

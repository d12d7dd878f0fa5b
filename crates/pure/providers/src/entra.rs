//! The account at Microsoft Entra of an Azure deployment without a key: what its configuration says, completed by the
//! variables that Azure's own tools read.

use std::sync::Arc;

use tollgate_wire::Secret;

use crate::{
    auth::{Account, EntraAccount},
    provider::{Auth, Provider},
    resolve::{Surroundings, Unservable},
};

/// What Entra's tokens are for where nobody says; `LiteLLM`'s default.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// The account, if the provider takes such tokens and there is a way to one.
///
/// # Errors
/// When the secret of an application or a password is there, but not whose it is.
pub(crate) fn account(
    stated: Option<&EntraAccount>,
    provider: &Provider,
    around: &Surroundings<'_>,
) -> Result<Option<Arc<Account>>, Unservable> {
    if !matches!(provider.auth, Auth::Azure | Auth::AzureFoundry) {
        return Ok(None);
    }
    let env = |name: &str| (around.env)(name).filter(|value| !value.is_empty());
    let mut account = stated.cloned().unwrap_or_default();
    // A secret of the environment must not be tried for the application that the configuration names, nor the reverse.
    if account.client_secret.is_none() && account.password.is_none() && account.client_id.is_none() {
        account.client_secret = env("AZURE_CLIENT_SECRET").map(Secret::new);
        account.username = env("AZURE_USERNAME");
        account.password = env("AZURE_PASSWORD").filter(|_| account.username.is_some()).map(Secret::new);
    }
    account.tenant_id = account.tenant_id.or_else(|| env("AZURE_TENANT_ID"));
    account.client_id = account.client_id.or_else(|| env("AZURE_CLIENT_ID"));
    account.authority = env("AZURE_AUTHORITY_HOST").map(|host| with_scheme(&host));
    if account.scope.is_empty() {
        account.scope = env("AZURE_SCOPE").unwrap_or_else(|| SCOPE.to_owned());
    }
    account.token_file = env("AZURE_FEDERATED_TOKEN_FILE");
    let proved = account.client_secret.is_some() || account.password.is_some();
    let named = account.tenant_id.is_some() && account.client_id.is_some();
    if proved && !named {
        // In the environment they may be there for another tool; a configuration means this deployment.
        return if stated.is_some_and(|stated| stated.client_secret.is_some() || stated.password.is_some()) {
            let words = "a token of Entra is asked for a tenant and an application; set tenant_id and client_id";
            Err(Unservable::Missing(words.to_owned()))
        } else {
            Ok(None)
        };
    }
    if account.password.is_some() && account.client_secret.is_none() && account.username.is_none() {
        return Err(Unservable::Missing("a password is a user's; set azure_username".to_owned()));
    }
    if proved || (account.token_file.is_some() && named) {
        return Ok(Some(Arc::new(Account::Entra(account))));
    }
    if !account.machine {
        return Ok(None);
    }
    account.endpoint = env("IDENTITY_ENDPOINT").zip(env("IDENTITY_HEADER").map(Secret::new));
    account.machine_host = env("AZURE_POD_IDENTITY_AUTHORITY_HOST").map(|host| with_scheme(&host));
    Ok(Some(Arc::new(Account::Entra(account))))
}

fn with_scheme(host: &str) -> String {
    if host.contains("://") { host.to_owned() } else { format!("https://{host}") }
}

#[cfg(test)]
mod tests {
    use tollgate_wire::facts::ModelFacts;

    use super::*;
    use crate::table::{azure, openai};

    fn found(
        stated: Option<&EntraAccount>,
        provider: &Provider,
        env: &[(&str, &str)],
    ) -> Result<Option<EntraAccount>, Unservable> {
        let around = Surroundings {
            env: &|name| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
            provider_of: &|_| None,
            facts: &|_, _| ModelFacts::default(),
        };
        let account = account(stated, provider, &around)?;
        Ok(account.map(|account| match account.as_ref() {
            Account::Entra(entra) => entra.clone(),
            other => panic!("another account: {other:?}"),
        }))
    }

    const WHO: [(&str, &str); 2] = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];

    #[test]
    fn the_environment_alone_can_log_in() {
        let env = [WHO[0], WHO[1], ("AZURE_CLIENT_SECRET", "s"), ("AZURE_AUTHORITY_HOST", "login.microsoftonline.us")];
        let account = found(None, &azure::PROVIDER, &env).unwrap().unwrap();
        assert_eq!((account.tenant_id.as_deref(), account.client_id.as_deref()), (Some("t"), Some("c")));
        assert_eq!(account.authority.as_deref(), Some("https://login.microsoftonline.us"));
        assert_eq!(account.scope, SCOPE);
        assert!(found(None, &openai::PROVIDER, &env).unwrap().is_none());
        assert!(found(None, &azure::PROVIDER, &env[1..]).unwrap().is_none());
    }

    #[test]
    fn a_configured_secret_wants_to_know_whose_it_is() {
        let stated = EntraAccount { client_secret: Some(Secret::new("s")), ..EntraAccount::default() };
        assert!(matches!(found(Some(&stated), &azure::PROVIDER, &[]), Err(Unservable::Missing(_))));
        assert!(found(Some(&stated), &azure::PROVIDER, &WHO).unwrap().is_some());
    }

    #[test]
    fn a_secret_of_the_environment_is_not_tried_for_the_configured_application() {
        let stated = EntraAccount { client_id: Some("mine".to_owned()), ..EntraAccount::default() };
        let env = [WHO[0], WHO[1], ("AZURE_CLIENT_SECRET", "s"), ("AZURE_FEDERATED_TOKEN_FILE", "/token")];
        let account = found(Some(&stated), &azure::PROVIDER, &env).unwrap().unwrap();
        assert!(account.client_secret.is_none());
        assert_eq!(account.client_id.as_deref(), Some("mine"));
        assert_eq!(account.token_file.as_deref(), Some("/token"));
    }

    #[test]
    fn the_machine_is_asked_only_where_it_may_be() {
        assert!(found(Some(&EntraAccount::default()), &azure::PROVIDER, &[]).unwrap().is_none());
        let stated = EntraAccount { machine: true, ..EntraAccount::default() };
        let account = found(Some(&stated), &azure::PROVIDER, &[]).unwrap().unwrap();
        assert!(account.machine && account.endpoint.is_none());
        let env = [("IDENTITY_ENDPOINT", "http://here/msi"), ("IDENTITY_HEADER", "h")];
        let account = found(Some(&stated), &azure::PROVIDER, &env).unwrap().unwrap();
        assert_eq!(account.endpoint.unwrap().0, "http://here/msi");
    }
}

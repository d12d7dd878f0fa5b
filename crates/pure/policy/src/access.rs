//! Which callers may use which routes.

use tollgate_wire::{Failure, FailureKind};

use crate::{Caller, Key, Role, routes};

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteClass {
    /// Anyone: liveness, the API reference.
    Public,
    /// Any key; anyone at all where no master key is set (decision 4).
    Call,
    /// Any key; what it gets depends on whose it is.
    Own,
    /// The admin.
    Manage,
}

/// Whether the caller may use the route of this class at `path`.
///
/// # Errors
/// What to set, where management is asked for without a master key; 403 for a key that may not go there.
pub fn admit(caller: &Caller, class: RouteClass, path: &str) -> Result<(), Failure> {
    match (caller, class) {
        (_, RouteClass::Public) | (Caller::Anyone, RouteClass::Call) | (Caller::Admin, _) => Ok(()),
        (Caller::Anyone, RouteClass::Manage | RouteClass::Own) => Err(Failure::new(
            FailureKind::InvalidKey,
            "Authentication Error, management needs a master key, and none is set. Set general_settings.master_key in the \
             config or LITELLM_MASTER_KEY in the environment.",
        )),
        (Caller::Key(key), class) => admit_key(key, class, path),
    }
}

fn admit_key(key: &Key, class: RouteClass, path: &str) -> Result<(), Failure> {
    let denied = |words: String| Err(Failure::new(FailureKind::RouteDenied, words));
    let named = key.routes.admit(path);
    if !key.routes.is_empty() && !named {
        let words =
            format!("Virtual key is not allowed to call this route. Only allowed to call routes: {:?}", key.routes.0);
        return denied(format!("{words}. Tried to call route: {path}"));
    }
    let by_role = match (class, key.role) {
        (RouteClass::Public | RouteClass::Call | RouteClass::Own, _) | (RouteClass::Manage, Role::Admin) => true,
        (RouteClass::Manage, Role::AdminViewer) => routes::is_info(path) || routes::is_spend(path),
        (RouteClass::Manage, Role::User | Role::Viewer) => false,
    };
    if by_role || (named && class == RouteClass::Manage && routes::is_spend(path)) {
        return Ok(());
    }
    denied(format!("user not allowed to access this route, role= {}. Trying to access: {path}", key.role.as_str()))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use super::*;
    use crate::{KeyDigest, Models, RouteSet};

    fn key(routes: &[&str], role: Role) -> Caller {
        Caller::Key(Arc::new(Key {
            digest: KeyDigest::of("sk-1"),
            origin: "1".to_owned(),
            alias: None,
            expires: None,
            blocked: false,
            models: Models::default(),
            aliases: HashMap::new(),
            routes: RouteSet(routes.iter().map(|route| (*route).to_owned()).collect()),
            role,
            user: None,
            team: None,
            holders: Vec::new(),
            limits: Vec::new(),
            tags: Vec::new(),
            routing: serde_json::Map::new(),
            budgets: Vec::new(),
            spending: crate::Spending::default(),
            may_mock: false,
        }))
    }

    #[test]
    fn without_a_master_key_calls_are_open_and_management_is_closed() {
        assert!(admit(&Caller::Anyone, RouteClass::Call, "/chat/completions").is_ok());
        assert_eq!(admit(&Caller::Anyone, RouteClass::Manage, "/key/generate").unwrap_err().http_status(), 401);
        assert!(admit(&Caller::Admin, RouteClass::Manage, "/key/generate").is_ok());
    }

    #[test]
    fn a_key_calls_and_does_not_manage() {
        let plain = key(&[], Role::User);
        assert!(admit(&plain, RouteClass::Call, "/chat/completions").is_ok());
        assert!(admit(&plain, RouteClass::Own, "/key/info").is_ok());
        assert_eq!(admit(&plain, RouteClass::Manage, "/config/reload").unwrap_err().http_status(), 403);
        assert!(admit(&key(&[], Role::Admin), RouteClass::Manage, "/config/reload").is_ok());
        assert!(admit(&key(&[], Role::AdminViewer), RouteClass::Manage, "/global/spend").is_ok());
        assert!(admit(&key(&[], Role::AdminViewer), RouteClass::Manage, "/config/reload").is_err());
    }

    #[test]
    fn a_key_of_stated_routes_goes_nowhere_else() {
        let calls = key(&["llm_api_routes"], Role::User);
        assert!(admit(&calls, RouteClass::Call, "/v1/embeddings").is_ok());
        assert_eq!(admit(&calls, RouteClass::Own, "/key/generate").unwrap_err().http_status(), 403);
        assert!(admit(&key(&["/embeddings"], Role::User), RouteClass::Call, "/v1/chat/completions").is_err());
    }
}

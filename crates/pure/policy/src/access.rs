//! Which callers may use which routes.

use tollgate_wire::{Failure, FailureKind};

use crate::Caller;

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteClass {
    /// Anyone: liveness, the API reference.
    Public,
    /// Any key; anyone at all where no master key is set (decision 4).
    Call,
    /// The admin.
    Manage,
}

/// Whether the caller may use a route of this class.
///
/// # Errors
/// What to set, where management is asked for without a master key.
pub fn admit(caller: Caller, class: RouteClass) -> Result<(), Failure> {
    match (caller, class) {
        (_, RouteClass::Public | RouteClass::Call) | (Caller::Admin, RouteClass::Manage) => Ok(()),
        (Caller::Anyone, RouteClass::Manage) => Err(Failure::new(
            FailureKind::InvalidKey,
            "Authentication Error, management needs a master key, and none is set. Set general_settings.master_key in the \
             config or LITELLM_MASTER_KEY in the environment.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_master_key_calls_are_open_and_management_is_closed() {
        assert!(admit(Caller::Anyone, RouteClass::Call).is_ok());
        assert_eq!(admit(Caller::Anyone, RouteClass::Manage).unwrap_err().http_status(), 401);
        assert!(admit(Caller::Admin, RouteClass::Manage).is_ok());
    }
}

//! Who may do what. Callers are named, routes are classed, and [`admit`] says yes or why not.

mod access;
mod budget;
mod caller;
mod key;
mod lifetime;
mod limits;
pub mod routes;
mod spending;

pub use access::{RouteClass, admit};
pub use budget::{Budget, BudgetOf};
pub use caller::{Caller, KeyDigest};
pub use key::{Holder, HolderKind, Key, ModelFacts, Models, Role, matches_pattern};
pub use lifetime::Lifetime;
pub use limits::{Left, Limit, LimitScope, Limiter, Most, Reached, Taken, What};
pub use routes::RouteSet;
pub use spending::Spending;

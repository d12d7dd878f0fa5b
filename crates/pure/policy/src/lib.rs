//! Who may do what. Callers are named, routes are classed, and [`admit`] says yes or why not.

mod access;
mod caller;

pub use access::{RouteClass, admit};
pub use caller::{Caller, KeyDigest};

//! Names of tools that a provider does not take, changed on the way out and back.

use std::borrow::Cow;

use tollgate_wire::chat::{ChatRequest, Tool};

/// The client's names of tools whose names had to change.
#[derive(Clone, Debug, Default)]
pub(super) struct Renamed(Vec<(String, String)>);

impl Renamed {
    /// The tools of a request that `fit` gives another name.
    pub(super) fn of(request: &ChatRequest, fit: fn(&str) -> Cow<'_, str>) -> Self {
        let changed = request.tools.iter().filter_map(|offered| {
            let Tool::Function { name, .. } = offered else { return None };
            match fit(name) {
                Cow::Borrowed(_) => None,
                Cow::Owned(wire) => Some((wire, name.clone())),
            }
        });
        Self(changed.collect())
    }

    /// The client's name for the tool that the model calls `wire`.
    pub(super) fn back(&self, wire: &str) -> String {
        let found = self.0.iter().find(|(changed, _)| changed == wire);
        found.map_or_else(|| wire.to_owned(), |(_, name)| name.clone())
    }
}

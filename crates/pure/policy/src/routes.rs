//! Which routes a key may call: paths, patterns, and `LiteLLM`'s names for groups of them.

use crate::matches_pattern;

/// What a key's `allowed_routes` say. Empty: nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSet(pub Vec<String>);

impl RouteSet {
    /// Whether a path is named.
    #[must_use]
    pub fn admit(&self, path: &str) -> bool {
        self.0.iter().any(|entry| match entry.as_str() {
            "llm_api_routes" | "openai_routes" => is_llm(path),
            "anthropic_routes" => path.starts_with("/v1/messages") || path.starts_with("/anthropic/"),
            "management_routes" => is_management(path),
            "info_routes" => is_info(path),
            "spend_tracking_routes" => is_spend(path),
            exact_or_pattern => matches_route(exact_or_pattern, path),
        })
    }

    /// Nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `/v1/chat/completions` also names `/chat/completions`, as both are the same route.
fn matches_route(entry: &str, path: &str) -> bool {
    let bare = |path: &str| path.strip_prefix("/v1").unwrap_or(path).trim_end_matches('/').to_owned();
    matches_pattern(entry, path) || matches_pattern(&bare(entry), &bare(path))
}

const MANAGEMENT: [&str; 15] = [
    "/key/",
    "/v2/key/",
    "/user/",
    "/v2/user/",
    "/team/",
    "/v2/team/",
    "/organization/",
    "/customer/",
    "/end_user/",
    "/budget/",
    "/tag/",
    "/model/new",
    "/model/update",
    "/model/delete",
    "/credentials",
];
const SPEND: [&str; 11] = [
    "/spend/",
    "/global/spend",
    "/global/activity",
    "/provider/budgets",
    "/user/daily/",
    "/team/daily/",
    "/tag/daily/",
    "/organization/daily/",
    "/customer/daily/",
    "/end_user/daily/",
    "/agent/daily/",
];
/// What everybody looks at: models, and what is his own.
const INFO: [&str; 27] = [
    "/key/info",
    "/v2/key/info",
    "/key/list",
    "/key/health",
    "/team/info",
    "/team/list",
    "/user/info",
    "/user/list",
    "/v2/user/info",
    "/user/available_roles",
    "/v2/team/list",
    "/organization/list",
    "/models",
    "/v1/models",
    "/model/info",
    "/v1/model/info",
    "/v2/model/info",
    "/model_group/info",
    "/organization/info",
    "/customer/info",
    "/customer/list",
    "/end_user/info",
    "/budget/info",
    "/budget/list",
    "/budget/settings",
    "/tag/info",
    "/tag/list",
];
const OPERATIONS: [&str; 8] = ["/health", "/config", "/router/", "/ledger", "/reload", "/metrics", "/cache/", "/debug"];

fn is_under(path: &str, roots: &[&str]) -> bool {
    roots.iter().any(|root| path.starts_with(root) || path == root.trim_end_matches('/'))
}

/// Reading only: models, one's own key, spend.
#[must_use]
pub fn is_info(path: &str) -> bool {
    INFO.iter().any(|info| path.strip_prefix(info).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Keys, users, teams, budgets, models.
#[must_use]
pub fn is_management(path: &str) -> bool {
    is_under(path, &MANAGEMENT)
}

/// Spend and activity.
#[must_use]
pub fn is_spend(path: &str) -> bool {
    is_under(path, &SPEND)
}

/// Calls of models, and what belongs to them.
#[must_use]
pub fn is_llm(path: &str) -> bool {
    let about_models = path.starts_with("/models") || path.starts_with("/v1/models");
    about_models || !(is_management(path) || is_spend(path) || is_info(path) || is_under(path, &OPERATIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(entry: &str, path: &str) -> bool {
        RouteSet(vec![entry.to_owned()]).admit(path)
    }

    #[test]
    fn groups_of_routes_have_names() {
        assert!(admits("llm_api_routes", "/v1/chat/completions") && admits("llm_api_routes", "/models"));
        assert!(!admits("llm_api_routes", "/key/generate") && !admits("llm_api_routes", "/global/spend"));
        assert!(admits("management_routes", "/key/generate") && !admits("management_routes", "/chat/completions"));
        assert!(
            admits("spend_tracking_routes", "/spend/logs") && admits("spend_tracking_routes", "/team/daily/activity")
        );
        assert!(!admits("spend_tracking_routes", "/team/new"));
        assert!(admits("info_routes", "/key/info") && !admits("info_routes", "/key/generate"));
        assert!(!RouteSet::default().admit("/chat/completions"));
    }

    #[test]
    fn paths_are_named_with_and_without_version() {
        assert!(
            admits("/v1/chat/completions", "/chat/completions") && admits("/chat/completions", "/v1/chat/completions")
        );
        assert!(admits("/v1/*", "/v1/embeddings") && !admits("/embeddings", "/v1/rerank"));
        assert!(admits("/anthropic/*", "/anthropic/v1/messages"));
    }
}

//! `general_settings.pass_through_endpoints`.

use std::time::Duration;

use crate::{fields::Fields, keys::PASS_THROUGH, yaml::Node};

/// A path that is passed on as it is.
#[derive(Clone)]
#[expect(missing_docs, reason = "LiteLLM's own names; docs/reference/config.md says what each means")]
pub struct PassThroughEndpoint {
    pub path: String,
    pub target: String,
    /// Secrets among them. A value may hold `os.environ/NAME` as one of its words.
    pub headers: Vec<(String, String)>,
    /// `default_query_params`.
    pub query: Vec<(String, String)>,
    pub include_subpath: bool,
    pub forward_headers: bool,
    pub auth: bool,
    /// Empty: all.
    pub methods: Vec<String>,
    pub cost_per_request: Option<f64>,
    pub timeout: Option<Duration>,
}

impl PassThroughEndpoint {
    pub(crate) fn all(general: &Fields<'_>) -> Vec<Self> {
        let items = general.node("pass_through_endpoints").and_then(Node::items).unwrap_or_default();
        items.iter().filter_map(|item| Self::read(&Fields::of(Some(item), &PASS_THROUGH))).collect()
    }

    /// `None` without a path or a target; the check says so.
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let pairs = |name: &str| {
            let map = fields.text_map(name);
            map.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        Some(Self {
            path: fields.text("path").filter(|path| !path.trim_matches('/').is_empty())?,
            target: fields
                .text("target")
                .map(|target| target.trim().to_owned())
                .filter(|target| target.starts_with("http://") || target.starts_with("https://"))?,
            headers: pairs("headers"),
            query: pairs("default_query_params"),
            include_subpath: fields.is_on("include_subpath"),
            forward_headers: fields.is_on("forward_headers"),
            auth: fields.flag("auth").unwrap_or(true),
            methods: fields.texts("methods"),
            cost_per_request: fields.number("cost_per_request"),
            timeout: fields.duration("timeout"),
        })
    }
}

impl std::fmt::Debug for PassThroughEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PassThroughEndpoint").field("path", &self.path).finish_non_exhaustive()
    }
}

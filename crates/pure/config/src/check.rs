//! From the resolved tree to a [`Config`], with everything there is to say about it, all at once.

mod costs;
mod models;
mod python;
mod walk;

use crate::{
    Finding, Severity,
    fields::Fields,
    keys::{CREDENTIAL, GENERAL, LITELLM, ROUTER, STRATEGIES, TOP},
    resolve::{Missing, Resolved},
    typed::{Config, Credential, GeneralSettings, LitellmParams, LitellmSettings, RouterSettings},
    yaml::Node,
};

/// What a check yields.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The configuration; `None` if a finding is [`Severity::Fatal`].
    pub config: Option<Config>,
    /// Everything found, in the order of the file.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Whether anything found is at least as grave as `severity`.
    #[must_use]
    pub fn has(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity <= severity)
    }
}

/// Whether some provider serves a deployment with these parameters; if not, why not.
pub type KnowsProvider<'a> = &'a dyn Fn(&LitellmParams) -> Result<(), String>;

/// Checks everything and builds the configuration. Which providers there are is asked of `knows`.
#[must_use]
pub fn check(resolved: Resolved, knows: KnowsProvider<'_>) -> Checked {
    let Resolved { root, environment, missing, mut findings } = resolved;
    walk::section(&root, &TOP, "", &mut findings);
    python::guardrails(&root, &mut findings);
    python::callbacks(&root, &mut findings);
    routing_strategy(&root, &mut findings);
    missing_outside_models(&missing, &mut findings);
    pass_through(&root, &mut findings);
    costs::check(&root, &mut findings);
    let credentials = credentials(&root);
    let litellm = LitellmSettings::read(&Fields::of(root.get("litellm_settings"), &LITELLM));
    let general = GeneralSettings::read(&Fields::of(root.get("general_settings"), &GENERAL));
    let models = models::read(&root, &missing, knows, &mut findings);
    let fatal = findings.iter().any(|finding| finding.severity == Severity::Fatal);
    // A stable sort: what stands on one line keeps its order.
    findings.sort_by(|a, b| (&a.at.file, a.at.line).cmp(&(&b.at.file, b.at.line)));
    let config = (!fatal).then(|| Config {
        models,
        litellm,
        general,
        router: RouterSettings::read(&Fields::of(root.get("router_settings"), &ROUTER)),
        environment,
        credentials,
    });
    Checked { config, findings }
}

fn credentials(root: &Node) -> Vec<Credential> {
    let items = root.get("credential_list").and_then(Node::items).unwrap_or_default();
    let read = |item: &Node| {
        let fields = Fields::of(Some(item), &CREDENTIAL);
        Some(Credential {
            credential_name: fields.text("credential_name")?,
            credential_values: fields.map("credential_values"),
            credential_info: fields.map("credential_info"),
        })
    };
    items.iter().filter_map(read).collect()
}

/// Every strategy is known, and one is there.
fn routing_strategy(root: &Node, findings: &mut Vec<Finding>) {
    const PATH: &str = "router_settings.routing_strategy";
    let Some(node) = root.get("router_settings").and_then(|router| router.get("routing_strategy")) else { return };
    // What is no strategy at all is refused already.
    if node.as_text().is_some_and(|name| name != "simple-shuffle" && STRATEGIES.contains(&name)) {
        let message = "known; not yet used by this version, which picks as simple-shuffle does";
        findings.push(Finding::new(Severity::Warning, PATH, &node.at, message));
    }
}

/// A path that leads nowhere is left out, and said to be.
fn pass_through(root: &Node, findings: &mut Vec<Finding>) {
    let listed = root.get("general_settings").and_then(|general| general.get("pass_through_endpoints"));
    for (index, item) in listed.and_then(Node::items).unwrap_or_default().iter().enumerate() {
        let says = |name: &str| item.get(name).and_then(Node::as_text).map(str::trim).unwrap_or_default();
        let (path, target) = (says("path").trim_matches('/'), says("target"));
        if path.is_empty() || !(target.starts_with("http://") || target.starts_with("https://")) {
            let message = "needs `path` and a `target` that begins with http:// or https://; left out";
            let place = format!("general_settings.pass_through_endpoints[{index}]");
            findings.push(Finding::new(Severity::Warning, place, &item.at, message));
        }
    }
}

/// A missing name stops nothing outside of deployments, save one: without the master key that it asks for,
/// a gateway would stand open.
fn missing_outside_models(missing: &[Missing], findings: &mut Vec<Finding>) {
    for lack in missing.iter().filter(|lack| !lack.path.starts_with("model_list[")) {
        let (severity, message) = if lack.path == "general_settings.master_key" {
            (
                Severity::Fatal,
                format!("{} is not set in the environment; without it every caller would be let in", lack.name),
            )
        } else {
            (Severity::Warning, format!("{} is not set in the environment; taken as not set", lack.name))
        };
        findings.push(Finding::new(severity, lack.path.clone(), &lack.at, message));
    }
}

//! The keys on the first level of the file, and the small sections.

use super::Kind::{Each, Section as Within};
use super::{
    Any, Family, Flag, List, Map, Secret, Section, State, Text, TextMap, Texts, Unknown, Whole, general::GENERAL, key,
    later, litellm::LITELLM, model_info::MODEL_INFO, params::PARAMS, router::ROUTER, used,
};

/// The file itself.
pub(crate) static TOP: Section = Section {
    name: "",
    about: "The file is one mapping. Values may be `os.environ/NAME` anywhere.",
    unknown: Unknown::Warn,
    keys: &[
        used(
            "model_list",
            Each(&MODEL),
            "",
            "The deployments. Entries with one `model_name` form a group that shares the load; the first entry is the default.",
        ),
        used("litellm_settings", Within(&LITELLM), "", "Settings for all calls."),
        used("general_settings", Within(&GENERAL), "", "Settings of the gateway itself."),
        used(
            "router_settings",
            Within(&ROUTER),
            "",
            "How a deployment is chosen; wins over the same key in `litellm_settings`.",
        ),
        used(
            "environment_variables",
            TextMap,
            "",
            "Set before anything reads the environment. `PATH`, `HOME`, `LD_*`, `PYTHON*` and their like are left alone.",
        ),
        used(
            "include",
            Texts,
            "",
            "Other files, relative to this one. Their lists are appended, their other keys overwrite.",
        ),
        used("credential_list", Each(&CREDENTIAL), "", "Named credentials for `litellm_credential_name`."),
        later("guardrails", Each(&GUARDRAIL), "", "Guards that look at questions and answers."),
        later("callback_settings", Map, "", "Settings per callback."),
        later("assistant_settings", Map, "", "The Assistants API."),
        later("files_settings", List, "", "Where files are kept."),
        later("finetune_settings", List, "", "Where fine-tuning runs."),
        later("default_vertex_config", Map, "", "Defaults of the Vertex pass-through."),
        key("mcp_servers", Any, State::Later, "MCP servers."),
        key("mcp_tools", Any, State::Later, "MCP tools."),
        key("prompts", Any, State::Without, "Prompt studio."),
        key("search_tools", Any, State::Without, "Search tools."),
        key("sandbox_tools", Any, State::Without, "Sandboxes."),
        key("vector_store_registry", Any, State::Without, "Vector stores."),
        key("agents", Any, State::Without, "Agents."),
        key("agent_list", Any, State::Without, "Agents."),
        key("policies", Any, State::Later, "Policies for guardrails."),
        key("worker_registry", Any, State::Without, "Remote workers."),
    ],
    groups: &[],
    families: &[Family {
        prefix: "x-",
        suffix: "",
        kind: Any,
        state: State::Used,
        about: "Yours: a place for anchors.",
    }],
};

/// One entry of `model_list`.
pub(crate) static MODEL: Section = Section {
    name: "model_list[]",
    about: "One deployment.",
    unknown: Unknown::Warn,
    keys: &[
        used("model_name", Text, "", "The name clients send. May hold `*`: `openai/*`, `*`."),
        used("litellm_params", Within(&PARAMS), "", "Where calls go and with what."),
        used("model_info", Within(&MODEL_INFO), "", "Facts about the model."),
        used("rpm", Whole, "", "The same as in `litellm_params`, which wins."),
        used("tpm", Whole, "", "The same as in `litellm_params`, which wins."),
    ],
    groups: &[],
    families: &[],
};

/// One entry of `credential_list`.
pub(crate) static CREDENTIAL: Section = Section {
    name: "credential_list[]",
    about: "One credential.",
    unknown: Unknown::Warn,
    keys: &[
        used("credential_name", Text, "", "Its name."),
        used(
            "credential_values",
            Map,
            "",
            "`litellm_params` that a deployment takes over where it has none of its own.",
        ),
        used("credential_info", Map, "", "Description; shown, not used."),
    ],
    groups: &[],
    families: &[],
};

/// One entry of `guardrails`.
static GUARDRAIL: Section = Section {
    name: "guardrails[]",
    about: "One guard.",
    unknown: Unknown::Warn,
    keys: &[
        later("guardrail_name", Text, "", "Its name."),
        later("litellm_params", Within(&GUARDRAIL_PARAMS), "", "Which guard, and when."),
        later("guardrail_info", Map, "", "Shown, not used."),
        later("policy_template", Any, "", "Its policy."),
    ],
    groups: &[],
    families: &[],
};

static GUARDRAIL_PARAMS: Section = Section {
    name: "guardrails[].litellm_params",
    about: "Anything not listed is the guard's own.",
    unknown: Unknown::Keep,
    keys: &[
        later("guardrail", Text, "", "Which guard."),
        later("mode", Any, "", "`pre_call`, `during_call`, `post_call`, `logging_only`, or a list of them."),
        later("default_on", Flag, "false", "For all requests."),
        later("api_key", Secret, "", "Its key."),
        later("api_base", Text, "", "Its address."),
    ],
    groups: &[],
    families: &[],
};

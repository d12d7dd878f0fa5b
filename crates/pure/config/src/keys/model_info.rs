//! `model_info`: facts about the model of a deployment.

use super::Kind::Counts;
use super::{
    Any, Family, Flag, Seconds, Section, State, Text, Texts, Unknown, Whole, later,
    prices::{PRICE_TABLES, PRICES},
    used,
};

/// `model_info`.
pub(crate) static MODEL_INFO: Section = Section {
    name: "model_list[].model_info",
    about: "A key that is not listed is shown by `/model/info`.",
    unknown: Unknown::Keep,
    keys: &[
        used("id", Text, "a hash", "Id of the deployment (`x-litellm-model-id`)."),
        used("base_model", Text, "", "Model whose prices and window count; needed for Azure."),
        used("mode", Text, "`chat`", "`chat`, `completion`, `embedding`, `image_generation`, …"),
        used("max_tokens", Whole, "", "Overrides the catalog."),
        used("max_input_tokens", Whole, "", "Overrides the catalog."),
        used("max_output_tokens", Whole, "", "Overrides the catalog."),
        used("litellm_provider", Text, "", "Shown in place of the catalog's."),
        later("access_groups", Texts, "", "Groups that keys may be given access to."),
        later("team_id", Text, "", "Team that owns the model."),
        later("team_public_model_name", Text, "", "Its name inside the team."),
        used("description", Text, "", "Shown."),
        used("db_model", Flag, "false", "Whether it comes from the database."),
        used("created_at", Any, "", "Shown."),
        used("created_by", Any, "", "Shown."),
        used("updated_at", Any, "", "Shown."),
        used("updated_by", Any, "", "Shown."),
        used("disable_background_health_check", Flag, "false", "Leave it out of background checks."),
        used("health_check_model", Text, "", "For names with `*`: the model that a check calls."),
        used("health_check_timeout", Seconds, "60", "Time for a check that is a real call."),
        used("health_check_max_tokens", Whole, "5", "`max_tokens` of a check."),
        used("health_check_voice", Text, "`alloy`", "Voice of a check of `audio_speech`."),
        used("health_check_supports_max_tokens", Flag, "true", "Whether a check may say `max_tokens`."),
        later("supported_environments", Texts, "", "Load only in these environments."),
        used("allowed_fails", Whole, "", "Failures a minute before a rest."),
        used("allowed_fails_policy", Counts, "", "The same by kind of failure."),
        used("cooldown_time", Seconds, "", "Rest after failures."),
    ],
    groups: &[&PRICES, &PRICE_TABLES],
    families: &[Family {
        prefix: "supports_",
        suffix: "",
        kind: Flag,
        state: State::Used,
        about: "Overrides the catalog.",
    }],
};

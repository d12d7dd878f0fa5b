//! The rows beside the keys: users, teams, their members, organizations, projects, budgets, customers, tags; models,
//! credentials and configuration. Columns are what is searched for, joined or limited by; documents are JSON; `rest` holds the
//! fields that have no column, so that nothing that was sent is lost.

use crate::{
    Kind,
    row::row,
    values::{EpochMs, Json, NanoDollars},
};

row! {
    /// A user of the gateway (surface B.3).
    pub struct User in "users", Kind::User, by [user_id] {
        /// Its id.
        user_id: String,
        /// A name to show.
        user_alias: Option<String>,
        /// The address.
        user_email: Option<String>,
        /// `proxy_admin`, `internal_user` and so on.
        user_role: Option<String>,
        /// Its first team.
        team_id: Option<String>,
        /// Its organization.
        organization_id: Option<String>,
        /// What the identity provider calls it; unique.
        sso_user_id: Option<String>,
        /// The hash of the password.
        password: Option<String>,
        /// It may do nothing.
        blocked: Option<bool>,
        /// Models it may use.
        models: Option<Json>,
        /// Free, with reserved members.
        metadata: Option<Json>,
        /// What it may spend.
        max_budget: Option<NanoDollars>,
        /// How often that begins anew.
        budget_duration: Option<String>,
        /// When it does next.
        budget_reset_at: Option<EpochMs>,
        /// Several windows.
        budget_limits: Option<Json>,
        /// Calls at one time.
        max_parallel_requests: Option<i64>,
        /// Tokens a minute.
        tpm_limit: Option<i64>,
        /// Calls a minute.
        rpm_limit: Option<i64>,
        /// Tokens a day.
        tpd_limit: Option<i64>,
        /// Budgets of models.
        model_max_budget: Option<Json>,
        /// Things it may use.
        object_permission: Option<Json>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// A team (surface B.4). Its members are rows of their own.
    pub struct Team in "teams", Kind::Team, by [team_id] {
        /// Its id.
        team_id: String,
        /// A name to show.
        team_alias: Option<String>,
        /// Its organization.
        organization_id: Option<String>,
        /// Its keys are refused.
        blocked: bool,
        /// Models its keys may use.
        models: Option<Json>,
        /// Names of its own for models.
        model_aliases: Option<Json>,
        /// Free, with reserved members.
        metadata: Option<Json>,
        /// Added to each request.
        tags: Option<Json>,
        /// What it may spend.
        max_budget: Option<NanoDollars>,
        /// From where on its owners are told.
        soft_budget: Option<NanoDollars>,
        /// How often that begins anew.
        budget_duration: Option<String>,
        /// When it does next.
        budget_reset_at: Option<EpochMs>,
        /// Several windows.
        budget_limits: Option<Json>,
        /// Calls at one time.
        max_parallel_requests: Option<i64>,
        /// Tokens a minute.
        tpm_limit: Option<i64>,
        /// Calls a minute.
        rpm_limit: Option<i64>,
        /// Tokens a day.
        tpd_limit: Option<i64>,
        /// Budgets of models.
        model_max_budget: Option<Json>,
        /// Calls a minute, by model.
        model_rpm_limit: Option<Json>,
        /// Tokens a minute, by model.
        model_tpm_limit: Option<Json>,
        /// The budget that a member has who has none of its own.
        member_budget_id: Option<String>,
        /// What members may do.
        team_member_permissions: Option<Json>,
        /// Models of members.
        default_team_member_models: Option<Json>,
        /// Access groups.
        access_group_ids: Option<Json>,
        /// Routing of its own.
        router_settings: Option<Json>,
        /// Things it may use.
        object_permission: Option<Json>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// A user's place in a team (surface B.5).
    pub struct Member in "members", Kind::Member, by [team_id, user_id] {
        /// The team.
        team_id: String,
        /// The user.
        user_id: String,
        /// The user's address, as it was given.
        user_email: Option<String>,
        /// `admin` or `user`.
        role: String,
        /// What the user may spend in the team.
        budget_id: Option<String>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// An organization (surface B.6).
    pub struct Organization in "organizations", Kind::Organization, by [organization_id] {
        /// Its id.
        organization_id: String,
        /// Its name.
        organization_alias: Option<String>,
        /// Its limits.
        budget_id: Option<String>,
        /// Models it may use.
        models: Option<Json>,
        /// Free.
        metadata: Option<Json>,
        /// Calls a minute, by model.
        model_rpm_limit: Option<Json>,
        /// Tokens a minute, by model.
        model_tpm_limit: Option<Json>,
        /// Things it may use.
        object_permission: Option<Json>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// A user's place in an organization (surface C.8).
    pub struct OrganizationMember in "organization_members", Kind::OrganizationMember, by [organization_id, user_id] {
        /// The organization.
        organization_id: String,
        /// The user.
        user_id: String,
        /// `org_admin`, `internal_user` and so on.
        user_role: Option<String>,
        /// What the user may spend in it.
        budget_id: Option<String>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// A project of a team (surface B.8).
    pub struct Project in "projects", Kind::Project, by [project_id] {
        /// Its id.
        project_id: String,
        /// Its name.
        project_alias: Option<String>,
        /// Its team.
        team_id: Option<String>,
        /// Its limits.
        budget_id: Option<String>,
        /// What it is.
        description: Option<String>,
        /// Its keys are refused.
        blocked: bool,
        /// Models it may use.
        models: Option<Json>,
        /// Free.
        metadata: Option<Json>,
        /// Added to each request.
        tags: Option<Json>,
        /// Calls a minute, by model.
        model_rpm_limit: Option<Json>,
        /// Tokens a minute, by model.
        model_tpm_limit: Option<Json>,
        /// Things it may use.
        object_permission: Option<Json>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// Limits that others refer to (surface B.7).
    pub struct Budget in "budgets", Kind::Budget, by [budget_id] {
        /// Its id.
        budget_id: String,
        /// What may be spent.
        max_budget: Option<NanoDollars>,
        /// From where on owners are told.
        soft_budget: Option<NanoDollars>,
        /// How often that begins anew.
        budget_duration: Option<String>,
        /// When it does next.
        budget_reset_at: Option<EpochMs>,
        /// Calls at one time.
        max_parallel_requests: Option<i64>,
        /// Tokens a minute.
        tpm_limit: Option<i64>,
        /// Calls a minute.
        rpm_limit: Option<i64>,
        /// Tokens a day.
        tpd_limit: Option<i64>,
        /// Budgets of models.
        model_max_budget: Option<Json>,
        /// Models it is for.
        allowed_models: Option<Json>,
        /// More, for a time.
        temp_budget_increase: Option<NanoDollars>,
        /// Until when.
        temp_budget_expiry: Option<EpochMs>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// A customer of the applications behind the gateway (LiteLLM's end user; surface B.7).
    pub struct Customer in "customers", Kind::Customer, by [customer_id] {
        /// Its id, as requests name it.
        customer_id: String,
        /// A name to show.
        alias: Option<String>,
        /// Its requests are refused.
        blocked: bool,
        /// `eu` or `us`.
        allowed_model_region: Option<String>,
        /// The model for requests that name none it may use.
        default_model: Option<String>,
        /// Models it may use.
        models: Option<Json>,
        /// Its limits.
        budget_id: Option<String>,
        /// Things it may use.
        object_permission: Option<Json>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// A tag with limits of its own (surface B.8).
    pub struct Tag in "tags", Kind::Tag, by [tag_name] {
        /// Its name.
        tag_name: String,
        /// What it is.
        description: Option<String>,
        /// Models of its requests.
        models: Option<Json>,
        /// Their names.
        model_info: Option<Json>,
        /// Its limits.
        budget_id: Option<String>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// A model that was added at run time (surface C.10).
    pub struct Model in "models", Kind::Model, by [model_id] {
        /// Its id.
        model_id: String,
        /// The group it belongs to.
        model_name: String,
        /// The team whose model it is.
        team_id: Option<String>,
        /// It is not picked.
        blocked: bool,
        /// `litellm_params`, sealed by those who write it.
        params: Vec<u8>,
        /// `model_info`.
        model_info: Option<Json>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// A credential that models refer to (surface C.11).
    pub struct Credential in "credentials", Kind::Credential, by [credential_name] {
        /// Its name.
        credential_name: String,
        /// A name to show.
        display_name: Option<String>,
        /// Its values, sealed by those who write them.
        sealed: Vec<u8>,
        /// What may be shown of it.
        credential_info: Option<Json>,
        /// All other fields.
        rest: Option<Json>,
    }
}

row! {
    /// A section of the configuration that was changed at run time (surface C.12).
    pub struct ConfigRow in "config", Kind::Config, by [param_name] {
        /// `general_settings`, `router_settings` and so on.
        param_name: String,
        /// Its value, where it has no secrets.
        param_value: Option<Json>,
        /// Its value, sealed by those who write it, where it has.
        sealed: Option<Vec<u8>>,
    }
}

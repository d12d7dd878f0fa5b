-- Who may do what: keys and what limits them, and what is told of changes. The same tables as for PostgreSQL.

CREATE TABLE keys (
    token text NOT NULL,
    origin text NOT NULL,
    key_name text,
    key_alias text,
    user_id text,
    team_id text,
    organization_id text,
    project_id text,
    agent_id text,
    budget_id text,
    blocked boolean,
    key_type text,
    expires bigint,
    models text,
    aliases text,
    config text,
    permissions text,
    metadata text,
    tags text,
    allowed_routes text,
    allowed_cache_controls text,
    access_group_ids text,
    max_budget bigint,
    soft_budget bigint,
    budget_duration text,
    budget_reset_at bigint,
    budget_limits text,
    temp_budget_increase bigint,
    temp_budget_expiry bigint,
    model_max_budget text,
    model_rpm_limit text,
    model_tpm_limit text,
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    router_settings text,
    object_permission text,
    auto_rotate boolean,
    rotation_interval text,
    rotation_count bigint NOT NULL,
    last_rotation_at bigint,
    key_rotation_at bigint,
    settings_updated_at bigint,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (token)
);
CREATE UNIQUE INDEX keys_key_alias ON keys (key_alias);
CREATE UNIQUE INDEX keys_origin ON keys (origin);
CREATE INDEX keys_created ON keys (created_at, token);
CREATE INDEX keys_user ON keys (user_id, created_at, token);
CREATE INDEX keys_team ON keys (team_id, created_at, token);
CREATE INDEX keys_organization ON keys (organization_id, created_at, token);
CREATE INDEX keys_project ON keys (project_id);
CREATE INDEX keys_budget ON keys (budget_id);
CREATE INDEX keys_expires ON keys (expires);
CREATE INDEX keys_creator ON keys (created_by);
CREATE INDEX keys_rotation ON keys (key_rotation_at);
CREATE INDEX keys_state ON keys (blocked, expires);
CREATE INDEX keys_team_id ON keys (team_id);

-- What lists are sorted by. The column itself stands at the end so that PostgreSQL finds everything in the index.
CREATE INDEX keys_by_update ON keys (updated_at, token);
CREATE INDEX keys_by_alias ON keys (COALESCE(key_alias, ''), token, key_alias);
CREATE INDEX keys_by_name ON keys (COALESCE(key_name, ''), token, key_name);
CREATE INDEX keys_by_budget ON keys (COALESCE(max_budget, -1), token, max_budget);
CREATE INDEX keys_by_expiry ON keys (COALESCE(expires, -1), token, expires);
CREATE INDEX keys_by_user ON keys (COALESCE(user_id, ''), token, user_id);
CREATE INDEX keys_by_team ON keys (COALESCE(team_id, ''), token, team_id);

-- Keys that were deleted, as they were. A token may be deleted twice.
CREATE TABLE deleted_keys (
    token text NOT NULL,
    origin text NOT NULL,
    key_name text,
    key_alias text,
    user_id text,
    team_id text,
    organization_id text,
    project_id text,
    agent_id text,
    budget_id text,
    blocked boolean,
    key_type text,
    expires bigint,
    models text,
    aliases text,
    config text,
    permissions text,
    metadata text,
    tags text,
    allowed_routes text,
    allowed_cache_controls text,
    access_group_ids text,
    max_budget bigint,
    soft_budget bigint,
    budget_duration text,
    budget_reset_at bigint,
    budget_limits text,
    temp_budget_increase bigint,
    temp_budget_expiry bigint,
    model_max_budget text,
    model_rpm_limit text,
    model_tpm_limit text,
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    router_settings text,
    object_permission text,
    auto_rotate boolean,
    rotation_interval text,
    rotation_count bigint NOT NULL,
    last_rotation_at bigint,
    key_rotation_at bigint,
    settings_updated_at bigint,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    deleted_at bigint NOT NULL,
    deleted_by text
);
CREATE INDEX deleted_keys_token ON deleted_keys (token, deleted_at);
CREATE INDEX deleted_keys_created ON deleted_keys (created_at, token);
CREATE INDEX deleted_keys_user ON deleted_keys (user_id);
CREATE INDEX deleted_keys_team ON deleted_keys (team_id);

-- Tokens that regenerated keys had, and which still work for a while.
CREATE TABLE old_tokens (
    token text PRIMARY KEY,
    successor text NOT NULL,
    until bigint NOT NULL
);
CREATE INDEX old_tokens_successor ON old_tokens (successor);

CREATE TABLE users (
    user_id text NOT NULL,
    user_alias text,
    user_email text,
    user_role text,
    team_id text,
    organization_id text,
    sso_user_id text,
    password text,
    blocked boolean,
    models text,
    metadata text,
    max_budget bigint,
    budget_duration text,
    budget_reset_at bigint,
    budget_limits text,
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    model_max_budget text,
    object_permission text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (user_id)
);
CREATE UNIQUE INDEX users_sso_user_id ON users (sso_user_id);
CREATE INDEX users_email ON users (user_email);
CREATE INDEX users_created ON users (created_at, user_id);

CREATE TABLE teams (
    team_id text NOT NULL,
    team_alias text,
    organization_id text,
    blocked boolean NOT NULL,
    models text,
    model_aliases text,
    metadata text,
    tags text,
    max_budget bigint,
    soft_budget bigint,
    budget_duration text,
    budget_reset_at bigint,
    budget_limits text,
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    model_max_budget text,
    model_rpm_limit text,
    model_tpm_limit text,
    member_budget_id text,
    team_member_permissions text,
    default_team_member_models text,
    access_group_ids text,
    router_settings text,
    object_permission text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (team_id)
);
CREATE INDEX teams_organization ON teams (organization_id);
CREATE INDEX teams_alias ON teams (team_alias);
CREATE INDEX teams_created ON teams (created_at, team_id);

CREATE TABLE members (
    team_id text NOT NULL,
    user_id text NOT NULL,
    user_email text,
    role text NOT NULL,
    budget_id text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

CREATE TABLE organizations (
    organization_id text NOT NULL,
    organization_alias text,
    budget_id text,
    models text,
    metadata text,
    model_rpm_limit text,
    model_tpm_limit text,
    object_permission text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id)
);

CREATE TABLE organization_members (
    organization_id text NOT NULL,
    user_id text NOT NULL,
    user_role text,
    budget_id text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX organization_members_user ON organization_members (user_id);

CREATE TABLE projects (
    project_id text NOT NULL,
    project_alias text,
    team_id text,
    budget_id text,
    description text,
    blocked boolean NOT NULL,
    models text,
    metadata text,
    tags text,
    model_rpm_limit text,
    model_tpm_limit text,
    object_permission text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (project_id)
);
CREATE INDEX projects_team ON projects (team_id);

CREATE TABLE budgets (
    budget_id text NOT NULL,
    max_budget bigint,
    soft_budget bigint,
    budget_duration text,
    budget_reset_at bigint,
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    model_max_budget text,
    allowed_models text,
    temp_budget_increase bigint,
    temp_budget_expiry bigint,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (budget_id)
);

CREATE TABLE customers (
    customer_id text NOT NULL,
    alias text,
    blocked boolean NOT NULL,
    allowed_model_region text,
    default_model text,
    models text,
    budget_id text,
    object_permission text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (customer_id)
);

CREATE TABLE tags (
    tag_name text NOT NULL,
    description text,
    models text,
    model_info text,
    budget_id text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (tag_name)
);

CREATE TABLE models (
    model_id text NOT NULL,
    model_name text NOT NULL,
    team_id text,
    blocked boolean NOT NULL,
    params blob NOT NULL,
    model_info text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (model_id)
);
CREATE INDEX models_name ON models (model_name);

CREATE TABLE credentials (
    credential_name text NOT NULL,
    display_name text,
    sealed blob NOT NULL,
    credential_info text,
    rest text,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (credential_name)
);

CREATE TABLE config (
    param_name text NOT NULL,
    param_value text,
    sealed blob,
    created_at bigint NOT NULL,
    created_by text,
    updated_at bigint NOT NULL,
    updated_by text,
    version bigint NOT NULL,
    PRIMARY KEY (param_name)
);

-- What was settled and what is unknown, by scope and window; window 0 is all time. Money is in nano-dollars.
CREATE TABLE totals (
    kind text NOT NULL,
    id text NOT NULL,
    window_start bigint NOT NULL,
    settled bigint NOT NULL,
    unknown bigint NOT NULL,
    last_at bigint NOT NULL,
    PRIMARY KEY (kind, id, window_start)
);
CREATE INDEX totals_settled ON totals (kind, window_start, settled, id);

-- What was changed, for the other instances. The head is locked by whoever writes, so that numbers appear in order.
CREATE TABLE change_head (
    only_one boolean PRIMARY KEY,
    seq bigint NOT NULL
);
INSERT INTO change_head (only_one, seq) VALUES (true, 0);
CREATE TABLE changes (
    seq bigint PRIMARY KEY,
    kind text NOT NULL,
    id text NOT NULL,
    other text,
    at bigint NOT NULL
);
CREATE INDEX changes_at ON changes (at);

-- Answers to writes with an Idempotency-Key; answers are sealed by those who write them.
CREATE TABLE idempotency (
    caller text NOT NULL,
    name text NOT NULL,
    request text NOT NULL,
    status bigint,
    answer blob,
    at bigint NOT NULL,
    expires bigint NOT NULL,
    PRIMARY KEY (caller, name)
);
CREATE INDEX idempotency_expires ON idempotency (expires);

CREATE TABLE audit (
    id text PRIMARY KEY,
    at bigint NOT NULL,
    changed_by text,
    changed_by_key text,
    action text NOT NULL,
    table_name text NOT NULL,
    object_id text NOT NULL,
    before_value text,
    after_value text
);
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_object ON audit (object_id, at);

-- Who may do what: keys and what limits them, and what is told of changes. The same tables as for SQLite; they are in
-- the schema `tollgate`, which the migrations make first.
-- Texts are compared byte by byte, as SQLite does.

CREATE TABLE keys (
    token text COLLATE "C" NOT NULL,
    origin text COLLATE "C" NOT NULL,
    key_name text COLLATE "C",
    key_alias text COLLATE "C",
    user_id text COLLATE "C",
    team_id text COLLATE "C",
    organization_id text COLLATE "C",
    project_id text COLLATE "C",
    agent_id text COLLATE "C",
    budget_id text COLLATE "C",
    blocked boolean,
    key_type text COLLATE "C",
    expires bigint,
    models text COLLATE "C",
    aliases text COLLATE "C",
    config text COLLATE "C",
    permissions text COLLATE "C",
    metadata text COLLATE "C",
    tags text COLLATE "C",
    allowed_routes text COLLATE "C",
    allowed_cache_controls text COLLATE "C",
    access_group_ids text COLLATE "C",
    max_budget bigint,
    soft_budget bigint,
    budget_duration text COLLATE "C",
    budget_reset_at bigint,
    budget_limits text COLLATE "C",
    temp_budget_increase bigint,
    temp_budget_expiry bigint,
    model_max_budget text COLLATE "C",
    model_rpm_limit text COLLATE "C",
    model_tpm_limit text COLLATE "C",
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    router_settings text COLLATE "C",
    object_permission text COLLATE "C",
    auto_rotate boolean,
    rotation_interval text COLLATE "C",
    rotation_count bigint NOT NULL,
    last_rotation_at bigint,
    key_rotation_at bigint,
    settings_updated_at bigint,
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
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
    token text COLLATE "C" NOT NULL,
    origin text COLLATE "C" NOT NULL,
    key_name text COLLATE "C",
    key_alias text COLLATE "C",
    user_id text COLLATE "C",
    team_id text COLLATE "C",
    organization_id text COLLATE "C",
    project_id text COLLATE "C",
    agent_id text COLLATE "C",
    budget_id text COLLATE "C",
    blocked boolean,
    key_type text COLLATE "C",
    expires bigint,
    models text COLLATE "C",
    aliases text COLLATE "C",
    config text COLLATE "C",
    permissions text COLLATE "C",
    metadata text COLLATE "C",
    tags text COLLATE "C",
    allowed_routes text COLLATE "C",
    allowed_cache_controls text COLLATE "C",
    access_group_ids text COLLATE "C",
    max_budget bigint,
    soft_budget bigint,
    budget_duration text COLLATE "C",
    budget_reset_at bigint,
    budget_limits text COLLATE "C",
    temp_budget_increase bigint,
    temp_budget_expiry bigint,
    model_max_budget text COLLATE "C",
    model_rpm_limit text COLLATE "C",
    model_tpm_limit text COLLATE "C",
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    router_settings text COLLATE "C",
    object_permission text COLLATE "C",
    auto_rotate boolean,
    rotation_interval text COLLATE "C",
    rotation_count bigint NOT NULL,
    last_rotation_at bigint,
    key_rotation_at bigint,
    settings_updated_at bigint,
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    deleted_at bigint NOT NULL,
    deleted_by text COLLATE "C"
);
CREATE INDEX deleted_keys_token ON deleted_keys (token, deleted_at);
CREATE INDEX deleted_keys_created ON deleted_keys (created_at, token);
CREATE INDEX deleted_keys_user ON deleted_keys (user_id);
CREATE INDEX deleted_keys_team ON deleted_keys (team_id);

-- Tokens that regenerated keys had, and which still work for a while.
CREATE TABLE old_tokens (
    token text COLLATE "C" PRIMARY KEY,
    successor text COLLATE "C" NOT NULL,
    until bigint NOT NULL
);
CREATE INDEX old_tokens_successor ON old_tokens (successor);

CREATE TABLE users (
    user_id text COLLATE "C" NOT NULL,
    user_alias text COLLATE "C",
    user_email text COLLATE "C",
    user_role text COLLATE "C",
    team_id text COLLATE "C",
    organization_id text COLLATE "C",
    sso_user_id text COLLATE "C",
    password text COLLATE "C",
    blocked boolean,
    models text COLLATE "C",
    metadata text COLLATE "C",
    max_budget bigint,
    budget_duration text COLLATE "C",
    budget_reset_at bigint,
    budget_limits text COLLATE "C",
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    model_max_budget text COLLATE "C",
    object_permission text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (user_id)
);
CREATE UNIQUE INDEX users_sso_user_id ON users (sso_user_id);
CREATE INDEX users_email ON users (user_email);
CREATE INDEX users_created ON users (created_at, user_id);

CREATE TABLE teams (
    team_id text COLLATE "C" NOT NULL,
    team_alias text COLLATE "C",
    organization_id text COLLATE "C",
    blocked boolean NOT NULL,
    models text COLLATE "C",
    model_aliases text COLLATE "C",
    metadata text COLLATE "C",
    tags text COLLATE "C",
    max_budget bigint,
    soft_budget bigint,
    budget_duration text COLLATE "C",
    budget_reset_at bigint,
    budget_limits text COLLATE "C",
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    model_max_budget text COLLATE "C",
    model_rpm_limit text COLLATE "C",
    model_tpm_limit text COLLATE "C",
    member_budget_id text COLLATE "C",
    team_member_permissions text COLLATE "C",
    default_team_member_models text COLLATE "C",
    access_group_ids text COLLATE "C",
    router_settings text COLLATE "C",
    object_permission text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (team_id)
);
CREATE INDEX teams_organization ON teams (organization_id);
CREATE INDEX teams_alias ON teams (team_alias);
CREATE INDEX teams_created ON teams (created_at, team_id);

CREATE TABLE members (
    team_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    user_email text COLLATE "C",
    role text COLLATE "C" NOT NULL,
    budget_id text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

CREATE TABLE organizations (
    organization_id text COLLATE "C" NOT NULL,
    organization_alias text COLLATE "C",
    budget_id text COLLATE "C",
    models text COLLATE "C",
    metadata text COLLATE "C",
    model_rpm_limit text COLLATE "C",
    model_tpm_limit text COLLATE "C",
    object_permission text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (organization_id)
);

CREATE TABLE organization_members (
    organization_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    user_role text COLLATE "C",
    budget_id text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX organization_members_user ON organization_members (user_id);

CREATE TABLE projects (
    project_id text COLLATE "C" NOT NULL,
    project_alias text COLLATE "C",
    team_id text COLLATE "C",
    budget_id text COLLATE "C",
    description text COLLATE "C",
    blocked boolean NOT NULL,
    models text COLLATE "C",
    metadata text COLLATE "C",
    tags text COLLATE "C",
    model_rpm_limit text COLLATE "C",
    model_tpm_limit text COLLATE "C",
    object_permission text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (project_id)
);
CREATE INDEX projects_team ON projects (team_id);

CREATE TABLE budgets (
    budget_id text COLLATE "C" NOT NULL,
    max_budget bigint,
    soft_budget bigint,
    budget_duration text COLLATE "C",
    budget_reset_at bigint,
    max_parallel_requests bigint,
    tpm_limit bigint,
    rpm_limit bigint,
    tpd_limit bigint,
    model_max_budget text COLLATE "C",
    allowed_models text COLLATE "C",
    temp_budget_increase bigint,
    temp_budget_expiry bigint,
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (budget_id)
);

CREATE TABLE customers (
    customer_id text COLLATE "C" NOT NULL,
    alias text COLLATE "C",
    blocked boolean NOT NULL,
    allowed_model_region text COLLATE "C",
    default_model text COLLATE "C",
    models text COLLATE "C",
    budget_id text COLLATE "C",
    object_permission text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (customer_id)
);

CREATE TABLE tags (
    tag_name text COLLATE "C" NOT NULL,
    description text COLLATE "C",
    models text COLLATE "C",
    model_info text COLLATE "C",
    budget_id text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (tag_name)
);

CREATE TABLE models (
    model_id text COLLATE "C" NOT NULL,
    model_name text COLLATE "C" NOT NULL,
    team_id text COLLATE "C",
    blocked boolean NOT NULL,
    params bytea NOT NULL,
    model_info text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (model_id)
);
CREATE INDEX models_name ON models (model_name);

CREATE TABLE credentials (
    credential_name text COLLATE "C" NOT NULL,
    display_name text COLLATE "C",
    sealed bytea NOT NULL,
    credential_info text COLLATE "C",
    rest text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (credential_name)
);

CREATE TABLE config (
    param_name text COLLATE "C" NOT NULL,
    param_value text COLLATE "C",
    sealed bytea,
    created_at bigint NOT NULL,
    created_by text COLLATE "C",
    updated_at bigint NOT NULL,
    updated_by text COLLATE "C",
    version bigint NOT NULL,
    PRIMARY KEY (param_name)
);

-- What was settled and what is unknown, by scope and window; window 0 is all time. Money is in nano-dollars.
CREATE TABLE totals (
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
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
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    other text COLLATE "C",
    at bigint NOT NULL
);
CREATE INDEX changes_at ON changes (at);

-- Answers to writes with an Idempotency-Key; answers are sealed by those who write them.
CREATE TABLE idempotency (
    caller text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    request text COLLATE "C" NOT NULL,
    status bigint,
    answer bytea,
    at bigint NOT NULL,
    expires bigint NOT NULL,
    PRIMARY KEY (caller, name)
);
CREATE INDEX idempotency_expires ON idempotency (expires);

CREATE TABLE audit (
    id text COLLATE "C" PRIMARY KEY,
    at bigint NOT NULL,
    changed_by text COLLATE "C",
    changed_by_key text COLLATE "C",
    action text COLLATE "C" NOT NULL,
    table_name text COLLATE "C" NOT NULL,
    object_id text COLLATE "C" NOT NULL,
    before_value text COLLATE "C",
    after_value text COLLATE "C"
);
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_object ON audit (object_id, at);

-- Lists of keys are searched for parts of words. Where there is no extension for that, or no right to it, each search reads them all.
DO $$
DECLARE
    home text;
BEGIN
    BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA tollgate;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    SELECT n.nspname INTO home FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF home IS NOT NULL THEN
        EXECUTE format('CREATE INDEX keys_words ON tollgate.keys USING gin (lower(key_alias) %1$I.gin_trgm_ops,
            lower(key_name) %1$I.gin_trgm_ops, lower(user_id) %1$I.gin_trgm_ops)', home);
    END IF;
END $$;

-- What was spent: rows of attempts, sums of them, unknown attempts, and how far each journal is booked. The same tables as for
-- PostgreSQL.

CREATE TABLE spend (
    row_id text NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint NOT NULL,
    completion_started_at bigint,
    request_duration_ms bigint NOT NULL,
    attempt_id text NOT NULL,
    call_id text NOT NULL,
    request_id text NOT NULL,
    call_type text NOT NULL,
    status text NOT NULL,
    spend bigint NOT NULL,
    certainty text NOT NULL,
    total_tokens bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    api_key text NOT NULL,
    key_alias text,
    user_id text,
    team_id text,
    organization_id text,
    project_id text,
    agent_id text,
    end_user text,
    model text NOT NULL,
    model_id text,
    model_group text,
    provider text,
    api_base text,
    endpoint text,
    mcp_tool text,
    session_id text,
    requester_ip_address text,
    cache_hit text,
    cache_key text,
    error_code text,
    error_message text,
    request_tags text,
    metadata text,
    messages text,
    response text,
    proxy_server_request text,
    windows text NOT NULL,
    PRIMARY KEY (started_at, row_id)
);
CREATE INDEX spend_key ON spend (api_key, started_at);
CREATE INDEX spend_user ON spend (user_id, started_at);
CREATE INDEX spend_team ON spend (team_id, started_at);
CREATE INDEX spend_end_user ON spend (end_user, started_at);
CREATE INDEX spend_session ON spend (session_id);
CREATE INDEX spend_request ON spend (request_id);
CREATE INDEX spend_call ON spend (call_id);
CREATE INDEX spend_attempt ON spend (attempt_id);

-- How far each journal is in the store.
CREATE TABLE watermarks (
    journal text PRIMARY KEY,
    position bigint NOT NULL,
    at bigint NOT NULL
);

-- Records that would not go in, as the journal has them.
CREATE TABLE quarantine (
    journal text NOT NULL,
    position bigint NOT NULL,
    spend bigint NOT NULL,
    cause text NOT NULL,
    record blob NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (journal, position)
);

-- What was settled by rows that are not kept, so that totals can still be computed again.
CREATE TABLE folded (
    kind text NOT NULL,
    id text NOT NULL,
    window_start bigint NOT NULL,
    settled bigint NOT NULL,
    PRIMARY KEY (kind, id, window_start)
);
CREATE TABLE prune_lock (
    at bigint NOT NULL
);
INSERT INTO prune_lock (at) VALUES (0);

-- Attempts of which nobody knows what they cost.
CREATE TABLE unknown (
    attempt_id text NOT NULL,
    call_id text NOT NULL,
    journal text NOT NULL,
    opened_at bigint NOT NULL,
    held bigint NOT NULL,
    windows text NOT NULL,
    api_key text NOT NULL,
    model text NOT NULL,
    provider text,
    details text,
    PRIMARY KEY (attempt_id)
);
CREATE INDEX unknown_opened ON unknown (opened_at, attempt_id);

-- Sums of each day, by whom and with what.
CREATE TABLE daily (
    kind text NOT NULL,
    id text NOT NULL,
    date text NOT NULL,
    api_key text NOT NULL,
    model text NOT NULL,
    model_group text NOT NULL,
    provider text NOT NULL,
    endpoint text NOT NULL,
    mcp_tool text NOT NULL,
    spend bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    requests bigint NOT NULL,
    successes bigint NOT NULL,
    failures bigint NOT NULL,
    duration_ms bigint NOT NULL,
    PRIMARY KEY (kind, id, date, api_key, model, model_group, provider, endpoint, mcp_tool)
);
CREATE INDEX daily_date ON daily (kind, date);
CREATE INDEX daily_key ON daily (api_key, kind, date);

-- What was spent: rows of attempts, sums of them, unknown attempts, and how far each journal is booked. The same tables as for
-- SQLite; rows of attempts are in one partition for each day.

CREATE TABLE spend (
    row_id text COLLATE "C" NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint NOT NULL,
    completion_started_at bigint,
    request_duration_ms bigint NOT NULL,
    attempt_id text COLLATE "C" NOT NULL,
    call_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    call_type text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    spend bigint NOT NULL,
    certainty text COLLATE "C" NOT NULL,
    total_tokens bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    api_key text COLLATE "C" NOT NULL,
    key_alias text COLLATE "C",
    user_id text COLLATE "C",
    team_id text COLLATE "C",
    organization_id text COLLATE "C",
    project_id text COLLATE "C",
    agent_id text COLLATE "C",
    end_user text COLLATE "C",
    model text COLLATE "C" NOT NULL,
    model_id text COLLATE "C",
    model_group text COLLATE "C",
    provider text COLLATE "C",
    api_base text COLLATE "C",
    endpoint text COLLATE "C",
    mcp_tool text COLLATE "C",
    session_id text COLLATE "C",
    requester_ip_address text COLLATE "C",
    cache_hit text COLLATE "C",
    cache_key text COLLATE "C",
    error_code text COLLATE "C",
    error_message text COLLATE "C",
    request_tags text COLLATE "C",
    metadata text COLLATE "C",
    messages text COLLATE "C",
    response text COLLATE "C",
    proxy_server_request text COLLATE "C",
    windows text COLLATE "C" NOT NULL,
    PRIMARY KEY (started_at, row_id)
) PARTITION BY RANGE (started_at);
CREATE TABLE spend_other PARTITION OF spend DEFAULT;
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
    journal text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    at bigint NOT NULL
);

-- Records that would not go in, as the journal has them.
CREATE TABLE quarantine (
    journal text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    spend bigint NOT NULL,
    cause text COLLATE "C" NOT NULL,
    record bytea NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (journal, position)
);

-- What was settled by rows that are not kept, so that totals can still be computed again.
CREATE TABLE folded (
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
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
    attempt_id text COLLATE "C" NOT NULL,
    call_id text COLLATE "C" NOT NULL,
    journal text COLLATE "C" NOT NULL,
    opened_at bigint NOT NULL,
    held bigint NOT NULL,
    windows text COLLATE "C" NOT NULL,
    api_key text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    provider text COLLATE "C",
    details text COLLATE "C",
    PRIMARY KEY (attempt_id)
);
CREATE INDEX unknown_opened ON unknown (opened_at, attempt_id);

-- Sums of each day, by whom and with what.
CREATE TABLE daily (
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    date text COLLATE "C" NOT NULL,
    api_key text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    model_group text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    endpoint text COLLATE "C" NOT NULL,
    mcp_tool text COLLATE "C" NOT NULL,
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

-- A day of rows, by its number since the beginning of 1970. Rows of the day that are in the common partition stay there, and the
-- day gets no partition of its own.
CREATE FUNCTION tollgate.prepare_day(day bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'spend_day_' || day;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tollgate.spend_days'));
    IF to_regclass('tollgate.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    LOCK TABLE tollgate.spend_other IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM tollgate.spend_other WHERE started_at >= day * 86400000 AND started_at < (day + 1) * 86400000) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE tollgate.%I PARTITION OF tollgate.spend FOR VALUES FROM (%s) TO (%s)',
        name, day * 86400000, (day + 1) * 86400000);
END $$;

-- Days that are over and have no rows any more.
CREATE FUNCTION tollgate.drop_empty_days(oldest bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
    filled boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tollgate.spend_days'));
    FOR name IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'tollgate.spend'::regclass AND c.relname ~ '^spend_day_[0-9]+$'
            AND substring(c.relname FROM 11)::bigint < oldest
    LOOP
        EXECUTE format('LOCK TABLE tollgate.%I IN SHARE ROW EXCLUSIVE MODE', name);
        EXECUTE format('SELECT EXISTS (SELECT FROM tollgate.%I)', name) INTO filled;
        IF NOT filled THEN
            EXECUTE format('DROP TABLE tollgate.%I', name);
        END IF;
    END LOOP;
END $$;

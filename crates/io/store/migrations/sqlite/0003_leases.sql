-- Money on its way: which instances live, and what was moved to them out of which budget. The same tables as for PostgreSQL.

CREATE TABLE instances (
    instance text PRIMARY KEY,
    journal text NOT NULL,
    host text NOT NULL,
    started_at bigint NOT NULL,
    heartbeat_at bigint NOT NULL
);

CREATE TABLE leases (
    kind text NOT NULL,
    id text NOT NULL,
    window_start bigint NOT NULL,
    instance text NOT NULL,
    granted bigint NOT NULL,
    used bigint NOT NULL,
    reserved bigint NOT NULL,
    PRIMARY KEY (kind, id, window_start, instance)
);
CREATE INDEX leases_instance ON leases (instance);

-- Money on its way: which instances live, and what was moved to them out of which budget. The same tables as for SQLite.

CREATE TABLE instances (
    instance text COLLATE "C" PRIMARY KEY,
    journal text COLLATE "C" NOT NULL,
    host text COLLATE "C" NOT NULL,
    started_at bigint NOT NULL,
    heartbeat_at bigint NOT NULL
);

CREATE TABLE leases (
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    window_start bigint NOT NULL,
    instance text COLLATE "C" NOT NULL,
    granted bigint NOT NULL,
    used bigint NOT NULL,
    reserved bigint NOT NULL,
    PRIMARY KEY (kind, id, window_start, instance)
);
CREATE INDEX leases_instance ON leases (instance);

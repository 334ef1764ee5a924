-- One site's log. Sequences are never used twice (AUTOINCREMENT), not even after a trim.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- A parcel belongs to the epoch with the greatest first sequence that is not above its own.
CREATE TABLE epoch (
    epoch TEXT NOT NULL, first_raw INTEGER NOT NULL, first_rows INTEGER NOT NULL,
    minted INTEGER NOT NULL, why TEXT NOT NULL
);

CREATE TABLE raw (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, recorded INTEGER NOT NULL,
    bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, payload BLOB NOT NULL
);
CREATE TABLE rows (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, recorded INTEGER NOT NULL,
    bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, payload BLOB NOT NULL
);

-- `confirmed`: everything up to it is safe in the lake (rows) or at the hub (raw).
CREATE TABLE stream (
    name TEXT PRIMARY KEY, confirmed INTEGER NOT NULL, bytes INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO stream VALUES ('raw', 0, 0), ('rows', 0, 0);

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, tag TEXT NOT NULL,
    machine TEXT NOT NULL, block TEXT NOT NULL, field TEXT NOT NULL,
    device_time INTEGER NOT NULL, received_time INTEGER NOT NULL, value TEXT NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL,
    -- Whether the ledger counts a quarantined sample for it; NULL: an earlier version wrote it.
    counted INTEGER,
    -- When it was shaped again and left quarantine.
    replayed INTEGER
);
CREATE INDEX quarantine_received ON quarantine (received_time);

CREATE TABLE count (
    hour INTEGER NOT NULL, source TEXT NOT NULL, tag TEXT NOT NULL,
    received INTEGER NOT NULL, good INTEGER NOT NULL, uncertain INTEGER NOT NULL,
    bad INTEGER NOT NULL, unmapped INTEGER NOT NULL, quarantined INTEGER NOT NULL,
    late INTEGER NOT NULL, shaped INTEGER NOT NULL, thinned INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, source, tag)
) WITHOUT ROWID;

CREATE TABLE gap (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER,
    reason TEXT NOT NULL, detail TEXT NOT NULL, recorded INTEGER NOT NULL
);
CREATE INDEX gap_start ON gap (start);
CREATE INDEX gap_open ON gap (source) WHERE "end" IS NULL;

-- Samples that are kept as RAW alone because shaping failed.
CREATE TABLE failure (
    raw INTEGER PRIMARY KEY, source TEXT NOT NULL, samples INTEGER NOT NULL,
    recorded INTEGER NOT NULL, failure TEXT NOT NULL
);
CREATE TABLE state (source TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE alive (source TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;

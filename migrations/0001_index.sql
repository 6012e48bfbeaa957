CREATE TABLE torrents (
    info_hash BLOB NOT NULL PRIMARY KEY CHECK (length(info_hash) = 20),
    name TEXT NOT NULL,
    length INTEGER NOT NULL,
    files INTEGER NOT NULL,
    piece_length INTEGER NOT NULL,
    private INTEGER NOT NULL,
    added INTEGER NOT NULL,
    metainfo BLOB NOT NULL
) STRICT;

-- Where each reference points now.
CREATE TABLE tags (
    reference TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    info_hash BLOB NOT NULL REFERENCES torrents (info_hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_torrent ON tags (info_hash);

-- Where each reference has ever pointed. A version outlives its torrent, so it keeps what is told of it.
CREATE TABLE tag_versions (
    reference TEXT NOT NULL,
    version INTEGER NOT NULL,
    info_hash BLOB NOT NULL,
    torrent_name TEXT NOT NULL,
    length INTEGER NOT NULL,
    files INTEGER NOT NULL,
    moved_at INTEGER NOT NULL,
    pusher TEXT NOT NULL,
    PRIMARY KEY (reference, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE origins (
    id TEXT NOT NULL PRIMARY KEY,
    peer_addr TEXT NOT NULL,
    fetch_addr TEXT NOT NULL,
    http_addr TEXT NOT NULL,
    free_bytes INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What each origin shall hold (hold = 1) or let go (hold = 0). A row is never deleted: its sequence, which grows with
-- every change of hold, is what an origin's cursor stands on.
CREATE TABLE replicas (
    origin TEXT NOT NULL,
    info_hash BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    hold INTEGER NOT NULL,
    state TEXT NOT NULL,
    have INTEGER NOT NULL,
    reason TEXT,
    PRIMARY KEY (origin, info_hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX replicas_by_torrent ON replicas (info_hash);
CREATE UNIQUE INDEX replicas_by_sequence ON replicas (sequence);

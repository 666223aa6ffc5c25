"""The tables of the ledger."""

from __future__ import annotations

VERSION = 2

# The subfolder of a path in an arrival.
SUBFOLDER = "CASE WHEN instr(path, '/') THEN substr(path, 1, instr(path, '/') - 1) ELSE '' END"
# Of all files of a bag; its parameter is that bag's number.
KNOW_BAG = (
    "INSERT OR REPLACE INTO known (target, source, subfolder, size_bytes, mtime_ns, file)"
    f" SELECT target, source, {SUBFOLDER}, size_bytes, mtime_ns, id FROM file WHERE bag = ?"
)

# `target` is a study at an inbox. `file` has one row for each file of each bag, which is what `sent` lists; `known` has
# one for each path of this PC and each subfolder that it was sent to: what it held when it was last sent, so that an
# unchanged file costs one stat.
# `packed` has the same by folder, which is read in a tenth of the time; it is true while `packed_at` equals `changes`.
# Two programs may begin at the same time: what is there is left as it is.
TABLES = """
CREATE TABLE IF NOT EXISTS target (
    id INTEGER PRIMARY KEY,
    inbox TEXT NOT NULL,
    study TEXT NOT NULL,
    changes INTEGER NOT NULL DEFAULT 0,
    packed_at INTEGER NOT NULL DEFAULT -1,
    UNIQUE (inbox, study)
);
CREATE TABLE IF NOT EXISTS bag (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    target INTEGER NOT NULL REFERENCES target (id),
    access TEXT NOT NULL,
    location TEXT NOT NULL,
    begun_at TEXT NOT NULL,
    state TEXT NOT NULL,
    arrival TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS bag_of_state ON bag (state);
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY,
    bag INTEGER NOT NULL REFERENCES bag (id),
    target INTEGER NOT NULL REFERENCES target (id),
    source TEXT NOT NULL,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode TEXT NOT NULL DEFAULT '',
    sha256 TEXT NOT NULL DEFAULT '',
    reached INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    at TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    is_at_fault INTEGER NOT NULL DEFAULT 0,
    UNIQUE (bag, path)
);
CREATE INDEX IF NOT EXISTS file_of_content ON file (target, sha256);
CREATE INDEX IF NOT EXISTS file_refused ON file (target) WHERE state = 'refused';
CREATE INDEX IF NOT EXISTS file_waiting ON file (target) WHERE state IN ('uploading', 'uploaded');
CREATE TABLE IF NOT EXISTS known (
    target INTEGER NOT NULL REFERENCES target (id),
    source TEXT NOT NULL,
    subfolder TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    file INTEGER NOT NULL REFERENCES file (id),
    PRIMARY KEY (target, source, subfolder)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS known_of_file ON known (file);
CREATE TRIGGER IF NOT EXISTS known_added AFTER INSERT ON known BEGIN
    UPDATE target SET changes = changes + 1 WHERE id = new.target;
END;
CREATE TRIGGER IF NOT EXISTS known_changed AFTER UPDATE ON known BEGIN
    UPDATE target SET changes = changes + 1 WHERE id = new.target;
END;
CREATE TRIGGER IF NOT EXISTS known_removed AFTER DELETE ON known BEGIN
    UPDATE target SET changes = changes + 1 WHERE id = old.target;
END;
CREATE TABLE IF NOT EXISTS packed (
    target INTEGER NOT NULL REFERENCES target (id),
    folder TEXT NOT NULL,
    subfolder TEXT NOT NULL,
    names TEXT NOT NULL,
    sizes BLOB NOT NULL,
    times BLOB NOT NULL,
    PRIMARY KEY (target, folder, subfolder)
);
"""
# Until version 2 a path was known for all subfolders alike.
FROM_1 = f"""
DROP TABLE IF EXISTS known;
DROP TABLE IF EXISTS packed;
{TABLES}
INSERT OR REPLACE INTO known (target, source, subfolder, size_bytes, mtime_ns, file)
    SELECT target, source, {SUBFOLDER}, size_bytes, mtime_ns, id FROM file ORDER BY id;
"""

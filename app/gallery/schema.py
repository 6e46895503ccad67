"""The database's tables, as migrations that only go forward.

Every tenant table carries `owner`, and every statement on one names it. Faces are the truth; what
is counted often is kept counted in the galleries' and subjects' rows.
"""

import sqlite3
import time

from app.errors import StartError

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE galleries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    uid TEXT NOT NULL,
    contract_id TEXT NOT NULL,
    dim INTEGER NOT NULL,
    conflict TEXT NOT NULL,
    metadata TEXT NOT NULL,
    max_subjects INTEGER NOT NULL,
    max_faces INTEGER NOT NULL,
    max_faces_per_subject INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    subjects INTEGER NOT NULL DEFAULT 0,
    faces INTEGER NOT NULL DEFAULT 0,
    id_sum INTEGER NOT NULL DEFAULT 0,
    UNIQUE (owner, name),
    UNIQUE (uid)
) STRICT;

CREATE TABLE subjects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    gallery_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    uid TEXT NOT NULL,
    name TEXT,
    metadata TEXT NOT NULL,
    tags TEXT NOT NULL,
    consent_ref TEXT,
    expires_at INTEGER,
    faces INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (gallery_id, key)
) STRICT;
CREATE UNIQUE INDEX subjects_by_uid ON subjects (uid);
CREATE INDEX subjects_by_expiry ON subjects (expires_at) WHERE expires_at IS NOT NULL;

-- What a search can filter by: "tag:vip", "meta:site=\"north\"".
CREATE TABLE terms (
    owner TEXT NOT NULL,
    gallery_id INTEGER NOT NULL,
    term TEXT NOT NULL,
    subject_id INTEGER NOT NULL,
    PRIMARY KEY (owner, gallery_id, term, subject_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX terms_by_subject ON terms (subject_id);

CREATE TABLE faces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    gallery_id INTEGER NOT NULL,
    subject_id INTEGER NOT NULL,
    uid TEXT NOT NULL,
    norm REAL NOT NULL,
    quality REAL,
    box TEXT,
    source BLOB,
    created_at INTEGER NOT NULL,
    feature BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX faces_by_uid ON faces (uid);
CREATE INDEX faces_by_gallery ON faces (gallery_id);
CREATE INDEX faces_by_subject ON faces (subject_id, source);

CREATE TABLE idempotency (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    result TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (owner, created_at);

-- What has been erased, by random ids that say nothing about anyone: see tombstones.py.
CREATE TABLE tombstones (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    uid TEXT NOT NULL,
    erased_at INTEGER NOT NULL
) STRICT;

-- Faces erased here but perhaps still in a snapshot file.
CREATE TABLE purges (face_id INTEGER PRIMARY KEY, gallery_uid TEXT NOT NULL) STRICT;
"""

_IDENTIFY = """
ALTER TABLE galleries ADD COLUMN identify INTEGER NOT NULL DEFAULT 0;
"""

_JOBS = """
-- `secret` is the key of the job's spool, sealed like the gallery; it goes when the job ends.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    uid TEXT NOT NULL,
    kind TEXT NOT NULL,
    gallery_id INTEGER NOT NULL,
    state TEXT NOT NULL,
    options TEXT NOT NULL,
    secret BLOB,
    error TEXT,
    position INTEGER NOT NULL DEFAULT 0,
    total INTEGER,
    succeeded INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    active_ms INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE UNIQUE INDEX jobs_by_uid ON jobs (uid);
CREATE INDEX jobs_by_owner ON jobs (owner, id);
CREATE INDEX jobs_unfinished ON jobs (id) WHERE finished_at IS NULL;

CREATE TABLE job_items (
    owner TEXT NOT NULL,
    job_id INTEGER NOT NULL,
    n INTEGER NOT NULL,
    gallery_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    subject TEXT,
    outcome TEXT NOT NULL,
    code TEXT,
    reasons TEXT,
    quality REAL,
    PRIMARY KEY (owner, job_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_items_by_subject ON job_items (gallery_id, subject) WHERE subject IS NOT NULL;
"""

_POLICY = """
ALTER TABLE galleries ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE galleries ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
"""

_SEALING = """
-- Wrapped by the master key; null where nothing is encrypted.
ALTER TABLE galleries ADD COLUMN data_key BLOB;
-- Name, metadata, tags and consent, where encrypted; their own columns are empty then.
ALTER TABLE subjects ADD COLUMN sealed BLOB;
"""

_INTERRUPTED = """
-- How often the process has ended at work on the job since it last got on.
ALTER TABLE jobs ADD COLUMN interrupted INTEGER NOT NULL DEFAULT 0;
"""

_HEALTH = """
-- Distributions of scores and norms, of nobody in particular: see rows/health.py.
CREATE TABLE gallery_health (
    gallery_id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    revision INTEGER NOT NULL,
    kept TEXT NOT NULL,
    computed_at INTEGER NOT NULL
) STRICT;
"""

_VAULT = """
-- Keepsakes of photos, and their subjects' keys: see rows/vault.py.
CREATE TABLE vault_keys (
    subject_id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    gallery_id INTEGER NOT NULL,
    key BLOB NOT NULL
) STRICT;
CREATE INDEX vault_keys_by_gallery ON vault_keys (gallery_id);
CREATE TABLE vault (
    face_id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    gallery_id INTEGER NOT NULL,
    subject_id INTEGER NOT NULL,
    keepsake BLOB NOT NULL
) STRICT;
CREATE INDEX vault_by_gallery ON vault (gallery_id);
CREATE INDEX vault_by_subject ON vault (subject_id);
"""

_MOVES = """
-- The contract that the gallery's seal is bound to, where it has moved to another since.
ALTER TABLE galleries ADD COLUMN bound_to TEXT;
-- On the way to another recogniser: see rows/moves.py.
CREATE TABLE moves (
    gallery_id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    contract_id TEXT NOT NULL,
    dim INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE other_features (
    face_id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    gallery_id INTEGER NOT NULL,
    norm REAL NOT NULL,
    quality REAL,
    feature BLOB NOT NULL
) STRICT;
CREATE INDEX other_features_by_gallery ON other_features (gallery_id);
"""

MIGRATIONS: tuple[tuple[str, str], ...] = (
    ("first", _FIRST),
    ("identify", _IDENTIFY),
    ("jobs", _JOBS),
    ("policy", _POLICY),
    ("sealing", _SEALING),
    ("interrupted", _INTERRUPTED),
    ("health", _HEALTH),
    ("vault", _VAULT),
    ("moves", _MOVES),
)


def migrate(connection: sqlite3.Connection, migrations: tuple[tuple[str, str], ...]) -> None:
    """Brings the schema up to date, each migration in one transaction.

    Raises StartError where the database comes from a newer release.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
    )
    done = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]
    if done > len(migrations):
        raise StartError(
            f"the gallery database has schema {done}, this release knows {len(migrations)}: "
            "it was written by a newer release, run that one"
        )
    for version, (name, script) in enumerate(migrations[done:], start=done + 1):
        _apply(connection, version, name, script)


def _apply(connection: sqlite3.Connection, version: int, name: str, script: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO migrations VALUES (?, ?, ?)", (version, name, int(time.time()))
        )
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """`executescript` would commit first, so the script is cut into statements here."""
    found: list[str] = []
    pending = ""
    for line in script.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return found

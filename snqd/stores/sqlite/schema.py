"""The tables of the embedded queue.

A program in any language may INSERT INTO job (site, queue, body): the rest has defaults.
"""

APPLICATION_ID = 0x736E7164

# A job is ready (owner, due and solo are 0), or held: claimed by `owner`, delayed until `due` or waiting to run alone.
# The indexes keep the two apart, so that a claim never steps over what it can't take.
MIGRATIONS = (
    """
    CREATE TABLE job (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL DEFAULT (lower(hex(randomblob(16))))
            CHECK (length(id) BETWEEN 1 AND 64 AND id NOT GLOB '*[^A-Za-z0-9.-]*'),
        site TEXT NOT NULL CHECK (typeof(site) = 'text'),
        queue TEXT NOT NULL CHECK (typeof(queue) = 'text'),
        encoding TEXT NOT NULL DEFAULT 'json' CHECK (encoding IN ('json', 'php')),
        created REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0) CHECK (typeof(created) = 'real'),
        attempt INTEGER NOT NULL DEFAULT 1 CHECK (typeof(attempt) = 'integer'),
        due REAL NOT NULL DEFAULT 0 CHECK (typeof(due) = 'real'),
        solo INTEGER NOT NULL DEFAULT 0,
        owner INTEGER NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT '',
        body BLOB NOT NULL CHECK (typeof(body) IN ('text', 'blob'))
    );
    CREATE INDEX job_ready ON job (queue, site) WHERE owner = 0 AND due = 0 AND solo = 0;
    CREATE INDEX job_held ON job (queue, site) WHERE owner <> 0 OR due <> 0 OR solo <> 0;
    CREATE INDEX job_due ON job (due) WHERE due <> 0;
    CREATE INDEX job_solo ON job (n) WHERE solo <> 0;
    CREATE TABLE owner (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        beat INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE pause (
        queue TEXT NOT NULL,
        site TEXT NOT NULL,
        PRIMARY KEY (queue, site)
    ) WITHOUT ROWID
    """,
)

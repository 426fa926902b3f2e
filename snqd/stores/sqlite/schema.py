"""The tables of the embedded queue.

A program in any language may INSERT INTO job (site, queue, body): the rest has defaults.
"""

APPLICATION_ID = 0x736E7164


def _name(column: str, first: str, others: str) -> str:
    # GLOB and length() stop at a NUL, hence the second length.
    return f"""CHECK (typeof({column}) = 'text' AND {column} GLOB '[{first}]*' AND {column} NOT GLOB '*[^{others}]*'
                AND length({column}) <= 64 AND length(CAST({column} AS BLOB)) = length({column}))"""


# A job is ready (owner, due and solo are 0), or held: claimed by `owner`, delayed until `due` or waiting to run alone.
# The indexes keep the two apart, so that a claim never steps over what it can't take.
# The constraints refuse a row that could not be handed out where it is inserted: one text that is no UTF-8, one number
# that JSON lacks, and every claim of everybody would fail.
MIGRATIONS = (
    f"""
    CREATE TABLE job (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL DEFAULT (lower(hex(randomblob(16))))
            CONSTRAINT id_is_a_job_id {_name("id", "A-Za-z0-9.-", "A-Za-z0-9.-")},
        site TEXT NOT NULL CONSTRAINT site_is_a_name {_name("site", "A-Za-z0-9_", "A-Za-z0-9_.-")},
        queue TEXT NOT NULL CONSTRAINT queue_is_a_name {_name("queue", "A-Za-z0-9_", "A-Za-z0-9_.-")},
        encoding TEXT NOT NULL DEFAULT 'json' CONSTRAINT encoding_is_json_or_php CHECK (encoding IN ('json', 'php')),
        created REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0)
            CONSTRAINT created_is_unix_seconds CHECK (typeof(created) = 'real' AND abs(created) < 1e300),
        attempt INTEGER NOT NULL DEFAULT 1
            CONSTRAINT attempt_counts_from_1 CHECK (typeof(attempt) = 'integer' AND attempt >= 1),
        due REAL NOT NULL DEFAULT 0
            CONSTRAINT due_is_unix_seconds CHECK (typeof(due) = 'real' AND due >= 0 AND due < 1e300),
        solo INTEGER NOT NULL DEFAULT 0 CONSTRAINT solo_is_0_or_1 CHECK (solo IN (0, 1)),
        owner INTEGER NOT NULL DEFAULT 0 CONSTRAINT owner_is_a_number CHECK (typeof(owner) = 'integer'),
        reason TEXT NOT NULL DEFAULT '',
        body BLOB NOT NULL CONSTRAINT body_is_text_or_blob CHECK (typeof(body) IN ('text', 'blob'))
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

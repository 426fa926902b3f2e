"""What a site, a queue and a job may be called; checked wherever a name comes in from outside."""

from __future__ import annotations

import re

from snqd.core.errors import BadName

MAX_NAME_CHARS = 64
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")


def check_site(name: str) -> str:
    """Return `name` if a site may be called so.

    :raises BadName: otherwise, saying why.
    """
    return _check(_NAME, "site", name)


def check_queue(name: str) -> str:
    """Return `name` if a queue may be called so.

    :raises BadName: otherwise, saying why.
    """
    return _check(_NAME, "queue", name)


def check_id(job_id: str) -> str:
    """Return `job_id` if a job may carry it: ASCII letters, digits, ``.`` and ``-``, at most 64.

    :raises BadName: otherwise, saying why.
    """
    if not _ID.fullmatch(job_id):
        raise BadName(f"{_shown(job_id)} is no job id: 1 to 64 ASCII letters, digits, '.' and '-'")
    return job_id


def _check(pattern: re.Pattern[str], kind: str, name: str) -> str:
    if not pattern.fullmatch(name):
        raise BadName(
            f"{_shown(name)} is no {kind} name: 1 to {MAX_NAME_CHARS} ASCII letters, digits, '_', '.' and '-', "
            "beginning with a letter, a digit or '_'"
        )
    return name


def _shown(name: str) -> str:
    return repr(name if len(name) <= MAX_NAME_CHARS else name[:MAX_NAME_CHARS] + "...")

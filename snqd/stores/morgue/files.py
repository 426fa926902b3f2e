"""Files of dead letters in ``dead_letter_dir``, as StatusNet's StompQueueManager writes them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from snqd.stores.morgue.morgue import Letter

_MAX_NAME_BYTES = 200


def file_name(letter: Letter) -> str:
    """``SITE-QUEUE-ID``, each part percent-encoded as PHP's rawurlencode() does, so that no name leaves the folder.

    StatusNet encodes the id alone. A name longer than a file system takes ends in a digest of its whole.
    """
    name = "-".join(quote(part, safe="", errors="backslashreplace") for part in (letter.site, letter.queue, letter.id))
    if len(name) > _MAX_NAME_BYTES:
        name = f"{name[: _MAX_NAME_BYTES - 65]}-{hashlib.sha256(name.encode()).hexdigest()}"
    return name


def write_letter(folder: Path, letter: Letter) -> Path:
    """Write the letter's payload, as it was encoded and nothing else, with mode 0600; whole or not at all.

    A letter of the same job is replaced. The copy in the morgue is the durable one.

    :raises OSError: the folder can't be made or written to.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / file_name(letter)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(letter.body)
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return path

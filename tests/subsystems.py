"""The shortest ``[queue]`` of each kind of store; nothing answers at these addresses."""

from __future__ import annotations

KEYS = {
    "sqlite": "",
    "postgresql": "db = postgresql://me:secret@127.0.0.1:1/snqd\n",
    "mariadb": "db = mariadb://me:secret@127.0.0.1:1/snqd\n",
    "redis": "subsystem = redis\nredis = redis://:secret@127.0.0.1:1/0\n",
    "stomp": "subsystem = stomp\nstomp_server = 127.0.0.1:1\nstomp_username = me\nstomp_password = secret\n",
}

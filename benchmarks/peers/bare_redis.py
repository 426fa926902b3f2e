"""The round trips of one job on Redis and nothing else: push and publish, hear, move, remove."""

from __future__ import annotations

import redis

from benchmarks.peers import work

ADD = "redis.call('RPUSH', KEYS[1], ARGV[1]) redis.call('PUBLISH', KEYS[1], '')"
CLIENT = redis.Redis.from_url(work.URL)
_add = CLIENT.register_script(ADD)


def send(task: str, sent: object) -> None:
    """One job, on disk at return."""
    _add([work.NAME], [str(sent)])


def serve() -> None:
    """Until it is killed."""
    ear, hand = CLIENT.pubsub(), f"{work.NAME}:hand"
    ear.subscribe(work.NAME)
    while ear.get_message(timeout=None) is not None:
        while sent := CLIENT.lmove(work.NAME, hand, "LEFT", "RIGHT"):
            work.stamp(float(sent))
            CLIENT.lpop(hand)


if __name__ == "__main__":
    serve()

"""What a new configuration changes, and what of it holds when."""

from __future__ import annotations

from pathlib import Path

import pytest

from snqd.config.config_diff import compare, keep_restart_only, keep_restart_only_groups
from snqd.config.key import TakesEffect
from snqd.config.load import load
from snqd.config.settings import Settings
from snqd.config.sources import Sources

NOW, RESTART, STOP = TakesEffect.AT_ONCE, TakesEffect.IN_FRESH_CHILDREN, TakesEffect.IN_A_FRESH_DAEMON
BASE = {
    "snqd": "id = t\nthreads = 2",
    "handlers": "mail = mail.Mail\nfeed = exec: true",
    "group:slow": "queues = feed",
    "site:alpha": "name = A",
}


def settings(**sections: str) -> Settings:
    path = Path("/etc/snq.ini")
    named = {name.replace("__", ":"): text for name, text in sections.items()}
    text = "\n".join(f"[{name}]\n{keys}" for name, keys in {**BASE, **named}.items())
    return load(Sources(path, {str(path): text}), plugins={})


def test_the_same_text_changes_nothing() -> None:
    changes = compare(settings(), settings())
    assert not changes
    assert str(changes) == "nothing"
    assert changes.as_json() == {
        "changed": False,
        "now": [],
        "after_restart": [],
        "after_stop_and_start": [],
        "children": [],
        "sites": {"added": [], "changed": [], "removed": []},
    }


def test_a_default_that_is_written_out_and_lines_that_move_change_nothing() -> None:
    assert not compare(settings(), settings(queue="timeout = 600\n\n", handler__mail="timeout = 600"))


@pytest.mark.parametrize(
    ("sections", "changed"),
    [
        ({"snqd": "id = t\nthreads = 3"}, {"[snqd] threads": NOW}),
        ({"snqd": "id = t\nthreads = 2\ndrain_timeout = 3"}, {"[snqd] drain_timeout": NOW}),
        ({"snqd": "id = u\nthreads = 2"}, {"[snqd] id": STOP}),
        ({"queue": "monitor = udp://127.0.0.1:9"}, {"[queue] monitor": NOW}),
        ({"queue": "lease = 5"}, {"[queue] lease": RESTART}),
        ({"queue": "wire = php"}, {"[queue] wire": RESTART}),
        ({"queue": "breakout = main/mail"}, {"[queue] breakout": NOW}),
        ({"queue": "db = sqlite:///other.db"}, {"[queue] db": STOP}),
        ({"handlers": "mail = mail.Other\nfeed = exec: true"}, {"[handlers] mail": NOW}),
        ({"handler__mail": "weight = 2"}, {"[handler:mail] weight": NOW}),
        ({"handler__mail": "colour = red"}, {"[handler:mail] colour": NOW}),
        ({"app__x": "y = 1"}, {"[app:x] y": NOW}),
        ({"group__slow": "queues = feed\nexclusive = yes"}, {"[group:slow] exclusive": STOP}),
        ({"group__slow": "queues = feed\nchildren = 3"}, {"[group:slow] children": NOW}),
        ({"group__more": "queues = mail"}, {"[group:more]": NOW}),
    ],
)
def test_each_key_is_named_with_the_time_when_it_holds(
    sections: dict[str, str], changed: dict[str, TakesEffect]
) -> None:
    assert dict(compare(settings(), settings(**sections)).keys) == changed


def test_retry_keys_are_named_as_they_are_written() -> None:
    changes = compare(settings(), settings(queue="max_retries = 3\nretry_delay = 1"))
    assert changes.that_take_effect(NOW) == ["[queue] max_retries", "[queue] retry_delay"]


def test_sites_are_named_by_what_became_of_them() -> None:
    old = settings(site__beta="", site__gamma="")
    sites = compare(old, settings(site__alpha="name = B", site__beta="", site__delta="")).sites
    assert (sites.added, sites.changed, sites.removed) == (("delta",), ("alpha",), ("gamma",))


def test_the_log_has_ten_thousand_sites_in_one_line() -> None:
    many = {f"site__s{n:05}": "" for n in range(10_000)}
    text = str(compare(settings(), settings(**many)))
    assert text.startswith("sites added: s00000, s00001, ")
    assert text.endswith(" and 9992 more")


def test_what_takes_a_fresh_daemon_stays_as_it_was() -> None:
    old = settings()
    new = settings(
        snqd="id = u\nthreads = 4\nstate_dir = elsewhere",
        queue="db = sqlite:///other.db\nconcurrency = 7",
    )
    held = keep_restart_only(new, old.daemon, old.queue)
    assert (held.daemon.id, held.daemon.state_dir) == ("t", old.daemon.state_dir)
    assert held.queue.db == old.queue.db
    assert (held.daemon.threads, held.queue.concurrency) == (4, 7)
    assert held.handlers is new.handlers


def test_a_path_stays_with_the_folder_that_it_begins_with() -> None:
    queue = "dead_letter_dir = STATE_DIR/dead"
    old = settings(queue=queue)
    new = settings(snqd="id = t\nthreads = 2\nstate_dir = elsewhere", queue=queue)
    assert dict(compare(old, new).keys) == {"[snqd] state_dir": STOP}
    assert keep_restart_only(new, old.daemon, old.queue).queue.dead_letter_dir == Path("/etc/state/dead")


def test_a_handler_that_comes_or_goes_is_named_by_its_queue() -> None:
    new = settings(handlers="mail = mail.Mail\nfeed = exec: true\nnews = exec: true", handler__news="timeout = 5")
    assert dict(compare(settings(), new).keys) == {"[handlers] news": NOW}
    assert dict(compare(new, settings()).keys) == {"[handlers] news": NOW}


def test_a_value_that_comes_to_the_same_is_no_change() -> None:
    assert not compare(settings(), settings(group__main="children = 2", queue="db = sqlite:////etc/state/queue.db"))


def test_a_group_stays_exclusive_with_its_one_child() -> None:
    exclusive = settings(group__slow="queues = feed\nexclusive = yes")
    many = settings(group__slow="queues = feed\nchildren = 3")
    held = keep_restart_only_groups(many, exclusive).groups["slow"]
    assert (held.exclusive, held.children) == (True, 1)
    held = keep_restart_only_groups(exclusive, many).groups["slow"]
    assert (held.exclusive, held.children) == (False, 1)

"""Targets of handlers: their syntax, and what installed packages register."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from snqd.config import targets
from snqd.config.targets import installed_handlers, read_plugin, read_target
from snqd.config.values import BadValue

PLUGINS = {"thumbs": "pics.jobs:Thumbs", "mail": "a.mod:Mail, b.mod:Mail", "module": "pics.jobs"}
KINDS = "write package.module.Class, exec: command, an http:// or https:// URL, or the name of an entry point"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("snqd.demo.Greet", "snqd.demo.Greet"),
        ("pics.jobs:Outer.Thumbs", "pics.jobs.Outer.Thumbs"),
        ("exec:/bin/cat", "exec: /bin/cat"),
        ("exec: convert --site={site} {queue} '{id} x'", "exec: convert '--site={site}' '{queue}' '{id} x'"),
        ("exec: ../bin/work -v", "exec: /srv/bin/work -v"),
        ("exec: work\n-v", "exec: work -v"),
        ("https://h.example/hook", "https://h.example/hook"),
        ("thumbs", "pics.jobs.Thumbs"),
        ("off", None),
    ],
)
def test_a_right_target_is_read(text: str, target: str | None) -> None:
    assert read_target(text, PLUGINS, "/srv/etc") == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exec:", "no command follows exec: write exec: /path/to/command"),
        ("exec: ''", "no command follows exec: write exec: /path/to/command"),
        ("exec: 'a", "the command after exec: can't be split into words: No closing quotation"),
        ("exec: a {sit}", "'{sit}' is no placeholder: only {site}, {queue}, {id} are filled in"),
        ("exec: a {0}", "'{0}' is no placeholder: only {site}, {queue}, {id} are filled in"),
        ("exec: a {", "'{' is no placeholder: only {site}, {queue}, {id} are filled in"),
        ("exec: a }", "'}' is no placeholder: only {site}, {queue}, {id} are filled in"),
        ("exec: a {{site}}", "'{' is no placeholder: only {site}, {queue}, {id} are filled in"),
        ("exec: /bin/{site}", "the command itself is a placeholder: name a fixed command"),
        ("http://", "'http://' is no HTTP URL: write http://host/path or https://host/path"),
        ("thumb", f"no installed package has the entry point 'thumb' (did you mean thumbs?): install it, or {KINDS}"),
        ("Off", f"no installed package has the entry point 'Off' (did you mean off?): install it, or {KINDS}"),
        ("zzz", f"no installed package has the entry point 'zzz': install it, or {KINDS}"),
        ("pics jobs", f"'pics jobs' is no handler: {KINDS}"),
        ("pics.jobs:", f"'pics.jobs:' is no handler: {KINDS}"),
        ("mail", "several packages handle it (a.mod:Mail, b.mod:Mail): choose one in [handlers]"),
        ("module", "its package registers 'pics.jobs', which is no class (module:Class): choose another"),
    ],
)
def test_a_wrong_target_is_refused_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        read_target(text, PLUGINS, "/srv/etc")
    assert str(caught.value) == message


def test_installed_handlers_come_from_the_entry_points_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    group = targets.ENTRY_POINTS
    points = [
        EntryPoint("thumbs", "pics.jobs:Thumbs [extra]", group),
        EntryPoint("thumbs", "pics.jobs:Thumbs", group),
        EntryPoint("mail", "a.mod:Mail", group),
        EntryPoint("mail", "b.mod:Mail", group),
    ]
    monkeypatch.setattr(targets, "entry_points", lambda group: [point for point in points if point.group == group])
    assert installed_handlers() == {"mail": "a.mod:Mail, b.mod:Mail", "thumbs": "pics.jobs:Thumbs"}
    assert read_plugin(installed_handlers()["thumbs"]) == "pics.jobs.Thumbs"

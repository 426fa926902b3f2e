"""Whatever the text, load() gives settings or a ConfigError whose every problem names its file."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from snqd.config.load import load
from snqd.config.schema import KINDS
from snqd.config.settings import Settings
from snqd.config.sources import Sources
from snqd.core.errors import ConfigError
from snqd.sites.registry import SiteRegistry

MAIN = "/etc/snq.ini"
SITE = "/etc/sites.d/a.ini"

labels = st.sampled_from(["a", "b", "a.b", "main", "", " ", "ä"]) | st.text(max_size=5)
titles = st.builds(
    lambda kind, label: f"{kind.name}:{label}" if kind.label else kind.name,
    st.sampled_from(list(KINDS.values())),
    labels,
)
keys = st.sampled_from(
    [key.name for kind in KINDS.values() for key in kind.keys]
    + [
        "a",
        "a.b",
        "handlers.a",
        "handler:a.timeout",
        "handler:a.b.retry_delay",
        "handler:a.x",
        "app.x.y",
        "app.",
        "handler:",
    ]
)
words = st.sampled_from(
    [
        *(
            "0",
            "1",
            "-1",
            "1e5",
            "5s",
            "99999999h",
            "auto",
            "yes",
            "off",
            "site",
            "db",
            "a",
            "a b",
            "a,b",
            "a.B",
            "a:B",
        ),
        *("exec:", "exec:cat", "exec:{site}", "exec:cat '", "udp://a:1", "http://[", "http://a:b/", "http://a/"),
        *("sqlite:///a", "sqlite:////a", "STATE_DIR", "STATE_DIR/x", "../..", "/", "10.0.0.0/8"),
        *("\u0663", "\\", "%(a)s", "${a}", "\0", "\ud800"),
    ]
)
lines = (
    st.builds("[{}]".format, titles)
    | st.builds("{} = {}".format, keys, words | st.text(max_size=10))
    | st.builds("  {}".format, words)
    | st.text(max_size=10)
)
texts = st.lists(lines, max_size=30).map("\n".join) | st.text()
plugins = st.dictionaries(labels, st.sampled_from(["a:B", "a.b", "a:B, c:D", ""]) | st.text(max_size=5), max_size=3)


site_files = st.just("[site:s]\n") | texts


@given(texts, site_files, plugins)
def test_no_text_raises_anything_but_a_config_error(main: str, site: str, plugins: dict[str, str]) -> None:
    settings, problems = _loaded({MAIN: main, SITE: site}, plugins)
    assert all(problem.startswith((f"{MAIN}:", f"{SITE}:")) for problem in problems)
    assert all(problem.isprintable() for problem in problems)
    if settings is None:
        assert problems
    else:
        served = [queue for group in settings.groups.values() for queue in group.queues]
        assert sorted(served) == sorted(settings.handlers)
        _use_every_site(settings, served)


@given(st.lists(st.builds("{} = {}".format, keys, words), max_size=6))
def test_every_site_that_loads_can_be_used(keys: list[str]) -> None:
    text = "[handlers]\na = a.B\na.b = a.B\n[site:s]\n" + "\n".join(dict.fromkeys(keys))
    settings, problems = _loaded({MAIN: text}, {})
    if settings is None:
        assert problems
    else:
        _use_every_site(settings, ["a", "a.b", "zzz"])


def _loaded(files: dict[str, str], plugins: dict[str, str]) -> tuple[Settings | None, list[str]]:
    try:
        return load(Sources(Path(MAIN), files), plugins=plugins), []
    except ConfigError as error:
        return None, error.problems


def _use_every_site(settings: Settings, queues: list[str]) -> None:
    registry = SiteRegistry(settings)
    for nickname in registry.nicknames():
        site = registry.get(nickname)
        for queue in queues:
            handler = site.handler(queue)
            assert site.retry_policy(queue).max_retries >= 0
            assert handler is None or handler.queue == queue

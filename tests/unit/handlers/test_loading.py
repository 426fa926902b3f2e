import subprocess
import sys

import pytest
from twisted.internet.task import Clock

from snqd.demo import Greet
from snqd.handlers import QueueHandler
from snqd.handlers.exec import ExecHandler
from snqd.handlers.http import HttpHandler
from snqd.handlers.loading import HandlerLoadError, find_class, load_handler

from .doubles import WHERE, settings


class Outer:
    class Inner(QueueHandler):
        """A handler inside another class."""


class Started(QueueHandler):
    def start(self):
        self.started_with = self.reactor


class Picky(QueueHandler):
    def __init__(self, settings):
        super().__init__(settings)
        self.directory = settings.options["dir"]


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Installs a package that registers the handler `greetings`."""
    info = tmp_path / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[snqd.handlers]\ngreetings = snqd.demo:Greet\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes modules that can be imported while a test runs."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(name, text):
        made.append(name)
        (tmp_path / f"{name}.py").write_text(text)

    yield make
    for name in made:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("target", ["snqd.demo.Greet", "snqd.demo:Greet"])
def test_a_class_is_found_by_its_dotted_path(target):
    assert find_class(target) is Greet


def test_a_class_inside_another_is_found():
    assert find_class(f"{__name__}:Outer.Inner") is Outer.Inner


def test_commands_and_urls_have_handlers_of_their_own():
    assert find_class("exec: /bin/cat {site}") is ExecHandler
    assert find_class("http://example.org/") is HttpHandler
    assert find_class("https://example.org/") is HttpHandler


def test_a_bare_word_names_an_entry_point(plugin):
    assert find_class("greetings") is Greet


def test_an_entry_point_that_nobody_registers_is_told_from_those_that_are(plugin):
    with pytest.raises(LookupError, match=r"no installed package registers a handler 'missing' .*greetings"):
        find_class("missing")


def test_a_handler_has_its_settings_and_reactor_when_it_starts():
    clock = Clock()
    handler = load_handler(settings(target=f"{__name__}:Started", options={"a": "b"}), clock)
    assert handler.options == {"a": "b"}
    assert handler.started_with is clock


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("no.such.module.Class", "can't import no.such.module.Class: ModuleNotFoundError: No module named 'no'"),
        ("snqd.demo.Missing", "can't import snqd.demo.Missing: AttributeError:"),
        ("snqd.core.job.Job", "can't import snqd.core.job.Job: TypeError: snqd.core.job.Job is no handler"),
        (f"{__name__}.Picky", f"can't start {__name__}.Picky: KeyError: 'dir'"),
        (
            "exec: /no/such/command",
            "can't start exec: /no/such/command: FileNotFoundError: no executable file '/no/such",
        ),
        ("exec: no-such-command", "no executable file 'no-such-command' on the PATH"),
        ("exec: /etc/passwd", "no executable file '/etc/passwd'"),
        ("exec: 'open", "can't start exec: 'open: ValueError: No closing quotation"),
        ("exec:", "names no command"),
        ("http:///path", "names no host"),
        ("https://me:secret@example.org/", "holds a user name or password"),
    ],
)
def test_a_handler_that_cannot_be_loaded_is_named_with_its_place(target, complaint):
    with pytest.raises(HandlerLoadError) as caught:
        load_handler(settings(target=target), Clock())
    assert str(caught.value).startswith(f"{WHERE}: can't ")
    assert complaint in str(caught.value)
    assert caught.value.queue == "thumbnails"
    assert caught.value.traceback.startswith("Traceback")


@pytest.mark.parametrize("target", ["https://me:secret@example.org/", "exec: /no/such --password secret"])
def test_secrets_in_a_target_are_not_repeated(target):
    with pytest.raises(HandlerLoadError) as caught:
        load_handler(settings(target=target), Clock())
    assert "secret" not in str(caught.value)


def test_a_network_in_http_allow_that_is_none_is_named():
    with pytest.raises(HandlerLoadError, match=r"10\.0\.0\.0/99"):
        load_handler(settings(target="http://example.org/", http_allow=("10.0.0.0/99",)), Clock())


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "1 / 0", "this is no python"])
def test_a_module_that_fails_is_an_error_with_its_traceback(module, body):
    module("failing_handlers", body)
    with pytest.raises(HandlerLoadError) as caught:
        load_handler(settings(target="failing_handlers.Any"), Clock())
    assert "failing_handlers.py" in caught.value.traceback


def test_authors_import_no_reactor_and_no_http_client():
    code = (
        "import sys; from snqd.handlers import QueueHandler, RetryLater, Reject; "
        "print([name for name in ('treq', 'twisted.internet.reactor', 'twisted.internet') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_only_http_handlers_import_the_http_client():
    code = (
        "import sys; from snqd.handlers.loading import find_class; import snqd.handlers.registry; "
        "find_class('exec: true'); find_class('snqd.demo.Greet'); print('treq' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "False\n"

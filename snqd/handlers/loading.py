"""From what ``[handlers]`` names to a handler that is ready for its first job."""

from __future__ import annotations

import importlib
import traceback as tracebacks
from importlib.metadata import entry_points
from typing import Any

from snqd.config.settings import HandlerSettings
from snqd.core.errors import SnqdError
from snqd.handlers.queue_handler import QueueHandler

ENTRY_POINTS = "snqd.handlers"


class HandlerLoadError(SnqdError):
    """A handler can't be loaded.

    :ivar queue: whose handler it is.
    :ivar traceback: text of the traceback that led here.
    """

    def __init__(self, queue: str, message: str, traceback: str) -> None:
        super().__init__(message)
        self.queue = queue
        self.traceback = traceback


def load_handler(settings: HandlerSettings, reactor: Any) -> QueueHandler:
    """Import, build and start the handler of ``settings.target``.

    :raises HandlerLoadError: naming file, section and key, and what failed.
    """
    step = "can't import"
    try:
        handler_class = find_class(settings.target)
        step = "can't start"
        handler = handler_class(settings)
        handler.reactor = reactor
        handler.start()
    except (Exception, SystemExit) as error:  # a module may end in anything when it is imported
        raise _load_error(settings, step, error) from error
    return handler


def check_importable(settings: HandlerSettings) -> None:
    """Nothing, if the class of ``settings.target`` can be imported; builds no handler.

    :raises HandlerLoadError: otherwise.
    """
    try:
        find_class(settings.target)
    except (Exception, SystemExit) as error:
        raise _load_error(settings, "can't import", error) from error


def _load_error(settings: HandlerSettings, step: str, error: BaseException) -> HandlerLoadError:
    message = f"{settings.where}: {step} {_shown(settings.target)}: {type(error).__name__}: {error}"
    return HandlerLoadError(settings.queue, message, tracebacks.format_exc())


def _shown(target: str) -> str:
    """`target` without what may hold a secret: a command's arguments, a URL's credentials, path and query."""
    if target.startswith("exec:"):
        return " ".join(target.split()[:2])
    if target.startswith(("http://", "https://")):
        scheme, _, rest = target.partition("://")
        return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"
    return target


def find_class(target: str) -> type[QueueHandler]:
    """The handler class behind a target: ``exec:``, an http(s) URL, the name of an entry point, or a dotted path.

    :raises TypeError: if what it names is no QueueHandler.
    """
    # Each kind is imported by those alone that use it: treq takes a child 4 MB.
    if target.startswith("exec:"):
        return importlib.import_module("snqd.handlers.exec").ExecHandler  # type: ignore[no-any-return]
    if target.startswith(("http://", "https://")):
        return importlib.import_module("snqd.handlers.http").HttpHandler  # type: ignore[no-any-return]
    found = _by_path(target) if "." in target or ":" in target else _by_entry_point(target)
    if not (isinstance(found, type) and issubclass(found, QueueHandler)):
        raise TypeError(
            f"{target} is no handler: it must be a class derived from snqd.handlers.QueueHandler, not {found!r}"
        )
    return found


def _by_path(path: str) -> Any:
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _by_entry_point(name: str) -> Any:
    registered = entry_points(group=ENTRY_POINTS)
    if name not in registered.names:
        known = ", ".join(sorted(registered.names)) or "none"
        raise LookupError(
            f"no installed package registers a handler {name!r} (entry point group {ENTRY_POINTS}: {known}); "
            "a class is named by its dotted path"
        )
    return registered[name].load()

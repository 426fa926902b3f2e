"""Where the daemon's log goes, and how it is written: as twistd's options say, in text or as one JSON object a line."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from typing import IO, Any

from twisted.application.service import IService, MultiService
from twisted.logger import FileLogObserver, ILogObserver, textFileLogObserver
from twisted.python.logfile import LogFile

from snqd.config.settings import DaemonSettings
from snqd.pipe.log_levels import LogLevels
from snqd.pipe.log_record import record_of
from snqd.pipe.text_streams import readable

DEFAULT_FILE = "twistd.log"
JSON = "json"


def json_line(event: Mapping[str, Any]) -> str:
    """One event: `time` (Unix seconds), `level`, `namespace`, `message`, its fields, `traceback` if it has one."""
    record = record_of(event)
    known = {
        "time": event["log_time"],
        "level": record.level,
        "namespace": record.namespace,
        "message": record.text,
        **({"traceback": record.traceback} if record.traceback else {}),
    }
    fields = {key: value for key, value in record.fields.items() if key not in known}
    return json.dumps({**known, **fields}, ensure_ascii=False) + "\n"


def log_observer(twistd: Mapping[str, Any], reactor: Any, log_format: str, levels: LogLevels) -> Any:
    """An observer that writes where twistd's own would.

    :param twistd: its options, of which ``logfile`` and ``nodaemon`` count here; as by twistd, a file is rotated on
        SIGUSR1.
    :param log_format: ``text`` or ``json``.
    """
    stream = _stream(twistd, reactor)
    line = json_line if log_format == JSON else textFileLogObserver(stream).formatEvent
    return levels.filtering(FileLogObserver(stream, lambda event: readable(line(event) or "")))


def _stream(twistd: Mapping[str, Any], reactor: Any) -> IO[Any]:
    name = twistd.get("logfile") or ("-" if twistd.get("nodaemon") else DEFAULT_FILE)
    if name == "-":
        if not twistd.get("nodaemon"):
            raise SystemExit("a daemon has no standard output to log to: name a file with --logfile, or say -n")
        return sys.stdout
    file = LogFile.fromFullPath(name)
    if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
        signal.signal(signal.SIGUSR1, lambda number, frame: reactor.callFromThread(file.rotate))
    return file  # type: ignore[no-any-return]


class LoggedService(MultiService):
    """What twistd runs: a service, and the log as its configuration wants it.

    :param twistd: its options; with ``--logger`` or ``--syslog`` among them the log is twistd's.
    """

    def __init__(
        self, service: IService, twistd: Mapping[str, Any], reactor: Any, settings: DaemonSettings, levels: LogLevels
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._twistd = twistd
        self._reactor = reactor
        self._log_format = settings.log_format
        self._levels = levels
        self.addService(service)  # type: ignore[no-untyped-call]

    def setServiceParent(self, parent: Any) -> None:
        """Become part of twistd's application, from which twistd takes the observer before it starts anything."""
        if not (self._twistd.get("logger") or self._twistd.get("syslog")):
            parent.setComponent(ILogObserver, log_observer(self._twistd, self._reactor, self._log_format, self._levels))
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

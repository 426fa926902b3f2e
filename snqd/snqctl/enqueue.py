"""``snqctl enqueue``: jobs from the command line, from JSON lines on stdin, or from files that PHP wrote."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import attrs
import click

from snqd.core.clocks import unix_time
from snqd.core.errors import BadPayload, PayloadTooLarge, SnqdError, StoreError, Unconfirmed
from snqd.core.job import JSON, MAX_BODY_BYTES, PHP, Job, JobIds, check_size
from snqd.snqctl.feed import Failures, Feed, Sink, StoreSink
from snqd.snqctl.invocation import Invocation, WrongUse, complain, say, say_json
from snqd.snqctl.lines import LineSplitter, reader
from snqd.wire.envelope import php_job_body
from snqd.wire.own import check_body
from snqd.wire.payload import decode

# Room for an envelope around the largest payload, in base64.
_MAX_FILE_BYTES = 2 * MAX_BODY_BYTES


@attrs.frozen
class Order:
    """What is asked for: jobs of one site and queue.

    :ivar own_wire: how the farm's jobs are written: see :data:`snqd.config.values.WIRES`.
    """

    site: str
    queue: str
    payloads: tuple[str, ...]
    delay: float
    count: int
    wire: str
    own_wire: str = JSON
    ids: JobIds = attrs.field(factory=JobIds)

    def check(self, body: bytes, encoding: str = JSON) -> None:
        """
        :raises BadPayload, PayloadTooLarge: where it can't be written as ``[queue] wire`` asks for.
        """
        check_body(body, encoding, self.own_wire)

    def job(self, body: bytes, encoding: str = JSON, created: float | None = None) -> Job:
        """A new job.

        :raises PayloadTooLarge: if no job carries `body`.
        """
        now = unix_time()
        return Job(
            self.ids.next(),
            self.site,
            self.queue,
            check_size(body),
            encoding,
            now if created is None else created,
            not_before=now + self.delay if self.delay else 0.0,
        )


Pour = Callable[[Feed, Failures], None]
INTERRUPTED = "interrupted"


@click.command()
@click.argument("site")
@click.argument("queue")
@click.argument("payloads", nargs=-1, metavar="[PAYLOAD | FILE...]")
@click.option("--delay", type=float, default=0.0, metavar="S", help="Seconds before the jobs may run.")
@click.option("--count", type=click.IntRange(1), default=1, metavar="N", help="So many jobs of the same payload.")
@click.option("--wire", type=click.Choice(["json", "php"]), default="json", help="php: one payload or envelope a FILE.")
@click.option("--force", is_flag=True, help="Also for a site or queue that is not configured.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
@click.pass_obj
def enqueue(
    invocation: Invocation,
    site: str,
    queue: str,
    payloads: tuple[str, ...],
    delay: float,
    count: int,
    wire: str,
    force: bool,
    as_json: bool,
) -> int:
    """Put jobs on QUEUE of SITE.

    PAYLOAD is JSON, null if there is none; - reads one JSON value a line from stdin.
    """
    order = Order(site, queue, payloads, delay, count, wire, invocation.settings.queue.wire_of_jobs)
    pour = _pour(order)
    invocation.check_names(site, queue)
    if not force:
        invocation.check_target(site, queue)
    if invocation.settings.queue.enabled:
        with invocation.store() as store:
            sink, failures = StoreSink(store), Failures()
            return _report(sink, failures, _carry_out(pour, sink, failures, order), as_json)
    return _run_now(invocation, pour, order, as_json)


def _run_now(invocation: Invocation, pour: Pour, order: Order, as_json: bool) -> int:
    if order.delay:
        raise WrongUse(f"--delay needs a queue, and {invocation.settings.path} says [queue] enabled = no")
    from snqd.snqctl.runner import ImmediateSink, JobRunner, beside_reactor

    failures = Failures()
    sink = ImmediateSink(failures)

    def work(runner: JobRunner) -> str:
        sink.runner = runner
        return _carry_out(pour, sink, failures, order)

    try:
        stopped = beside_reactor(invocation, [order.queue], work)
    except KeyboardInterrupt:
        stopped = INTERRUPTED
    return _report(sink, failures, stopped, as_json)


def _pour(order: Order) -> Pour:
    """How the order's jobs come about.

    :raises WrongUse: if it asks for what does not go together.
    """
    if not (math.isfinite(order.delay) and order.delay >= 0):
        raise WrongUse(f"--delay must be seconds, 0 or more, not {order.delay}")
    if order.wire == PHP:
        return _pour_files(order)
    if len(order.payloads) > 1:
        raise WrongUse("one PAYLOAD at most: quote JSON that has blanks, or give - and one value a line on stdin")
    if order.payloads == ("-",):
        if order.count != 1:
            raise WrongUse("--count goes with a PAYLOAD, not with lines from stdin")
        stdin = sys.stdin.buffer
        return lambda feed, failures: pour_lines(order, stdin, feed, failures)
    return _pour_copies(order, order.payloads[0] if order.payloads else "null")


def _pour_copies(order: Order, payload: str) -> Pour:
    body = payload.encode("utf-8", "surrogateescape")
    try:
        decode(body, JSON)
        order.check(body)
    except (BadPayload, PayloadTooLarge) as error:
        raise WrongUse(f"PAYLOAD: {error}") from error

    def pour(feed: Feed, failures: Failures) -> None:
        for _ in range(order.count):
            feed.add(order.job(body))

    return pour


def _pour_files(order: Order) -> Pour:
    if not order.payloads:
        raise WrongUse("--wire php takes one or more FILEs with a PHP payload or envelope each")
    if order.count != 1:
        raise WrongUse("--count does not go with --wire php: name a FILE several times")

    def pour(feed: Feed, failures: Failures) -> None:
        for path in order.payloads:
            try:
                item = php_job_body(_read_file(Path(path)))
                order.check(item.body, PHP)
                job = order.job(item.body, PHP, _seconds(item.created))
            except (OSError, BadPayload, PayloadTooLarge) as error:
                failures.report({"file": path}, error.strerror if isinstance(error, OSError) else error)
            else:
                feed.add(job)

    return pour


def pour_lines(order: Order, stream: BinaryIO, feed: Feed, failures: Failures) -> None:
    """One job of each line that is JSON; empty lines are passed over, and bad ones reported by their number."""
    read = reader(stream)
    splitter = LineSplitter(MAX_BODY_BYTES)
    number = 0
    chunk: bytes | None = None
    while chunk != b"":
        chunk = read(feed.due_in())
        for line in splitter.feed(chunk) if chunk is not None else ():
            number += 1
            if line is None:
                failures.report({"line": number}, f"more than the {MAX_BODY_BYTES} bytes that a job carries")
            elif body := line.strip():
                try:
                    decode(body, JSON)
                    order.check(body)
                except (BadPayload, PayloadTooLarge) as error:
                    failures.report({"line": number}, _fault_of_line(error))
                else:
                    feed.add(order.job(body), number)
        feed.flush_if_due()


def _fault_of_line(error: SnqdError) -> str:
    """What is wrong first, then where in the line."""
    place, _, fault = str(error).rpartition(": not JSON: ")
    return f"not JSON: {fault} ({place} of the line)" if place else str(error)


def _carry_out(pour: Pour, sink: Sink, failures: Failures, order: Order) -> str:
    """Pour the jobs into the sink; returns what stopped it, nothing if it came to its end."""
    with _progress(sink, order) as told:
        feed = Feed(sink, told)
        try:
            pour(feed, failures)
            feed.flush()
        except StoreError as error:
            # The counts stand beside it, of all batches, and nobody can give ids here.
            why = error.why if isinstance(error, Unconfirmed) else str(error)
            return f"{_from_where(feed.lines)}{why}"
        except KeyboardInterrupt:
            return INTERRUPTED
    return ""


def _from_where(lines: Sequence[int]) -> str:
    """The lines that were being sent, all before which are settled, and behind which nothing was sent."""
    if not lines:
        return ""
    if lines[0] == lines[-1]:
        return f"line {lines[0]} and what follows: "
    return f"lines {lines[0]} to {lines[-1]} and what follows: "


def _report(sink: Sink, failures: Failures, stopped: str, as_json: bool) -> int:
    """Say how many were accepted; returns the exit code."""
    if stopped:
        complain(stopped)
    if as_json:
        failed = [*failures.listed, {"error": stopped}] if stopped else failures.listed
        say_json({"accepted": sink.accepted, "unknown": sink.unknown, "failed": failed})
    else:
        doubt = f"; of {sink.unknown} that is not known" if sink.unknown else ""
        say(f"accepted {sink.accepted} job{'' if sink.accepted == 1 else 's'}{doubt}")
    return 1 if stopped or failures.count else 0


def _progress(sink: Sink, order: Order) -> AbstractContextManager[Callable[[], object]]:
    many = order.payloads == ("-",) or order.count > 1 or len(order.payloads) > 1
    if not (many and sys.stderr.isatty()):
        return nullcontext(lambda: None)
    from snqd.snqctl.progress import progress

    total = None if order.payloads == ("-",) else max(order.count, len(order.payloads))
    return progress(lambda: sink.accepted, total)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise PayloadTooLarge(f"the file has more than the {_MAX_FILE_BYTES} bytes that the largest job takes")
    return data


def _seconds(created: str) -> float | None:
    """Unix seconds of an SQL datetime, UTC, as StatusNet writes it; None for anything else."""
    try:
        return datetime.strptime(created, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None

"""``snqctl run``: one job here and now, as StatusNet's handlequeued does it."""

from __future__ import annotations

import sys

import click

from snqd.core.clocks import unix_time
from snqd.core.errors import BadPayload
from snqd.core.job import JSON, MAX_BODY_BYTES, Job, JobIds, check_size
from snqd.core.names import check_id
from snqd.core.outcome import Ack
from snqd.snqctl.feed import Failures
from snqd.snqctl.invocation import Invocation, WrongUse, complain, printable, say
from snqd.wire.payload import decode


@click.command()
@click.argument("site")
@click.argument("queue")
@click.argument("payload")
@click.option("--id", "job_id", metavar="ID", help="The job's id; without one, a new one.")
@click.option("--traceback", is_flag=True, help="Print the handler's traceback on stderr if it failed.")
@click.pass_obj
def run(invocation: Invocation, site: str, queue: str, payload: str, job_id: str | None, traceback: bool) -> int:
    """Run one job of QUEUE and SITE here and now, without the queue.

    PAYLOAD is JSON; - reads it from stdin. What the handler enqueues goes to the queue once the job is acknowledged.
    """
    invocation.check_target(site, queue)
    verb = "enqueued" if invocation.settings.queue.enabled else "run"
    job = Job(check_id(job_id) if job_id else JobIds().next(), site, queue, _body(payload), created=unix_time())
    from snqd.snqctl.runner import JobRunner, Ran, beside_reactor, in_words, run_all

    def work(runner: JobRunner) -> tuple[Ran, int]:
        ran = runner.run(job)
        failed = _follow(runner, ran) if isinstance(ran.outcome, Ack) else 0
        return ran, failed

    def _follow(runner: JobRunner, ran: Ran) -> int:
        if invocation.settings.queue.enabled:
            if ran.follow_ups:
                with invocation.store() as store:
                    store.enqueue(ran.follow_ups)
            return 0
        failures = Failures()
        return sum(not run_all(runner, follow_up, failures) for follow_up in ran.follow_ups)

    ran, failed = beside_reactor(invocation, [queue], work)
    if not isinstance(ran.outcome, Ack):
        complain(f"job {job.id}: {in_words(ran.outcome)}")
        if traceback and ran.outcome.traceback:
            click.echo(printable(ran.outcome.traceback), err=True)
        return 1
    followed = f", follow-up jobs {verb}: {len(ran.follow_ups)}" if ran.follow_ups else ""
    say(f"job {job.id}: Ack{followed}")
    return 1 if failed else 0


def _body(payload: str) -> bytes:
    if payload == "-":
        body = sys.stdin.buffer.read(MAX_BODY_BYTES + 1).strip()
    else:
        body = payload.encode("utf-8", "surrogateescape")
    try:
        decode(check_size(body), JSON)
    except BadPayload as error:
        raise WrongUse(f"PAYLOAD: {error}") from error
    return body

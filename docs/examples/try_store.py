"""A store by hand: one job's way through the store in memory, on a clock that is turned by hand."""

from twisted.internet.task import Clock

from snqd.core.job import Job
from snqd.stores.interface import Want
from snqd.stores.memory.queue import MemoryQueue
from snqd.stores.memory.store import MemoryStore


async def one_job(clock: Clock) -> list[str]:
    """What happens to it, line by line."""
    told = []
    shared = MemoryQueue()  # three processes work on one queue
    web, one, two = (MemoryStore(clock, owner, shared, clock.seconds) for owner in ("web", "one", "two"))
    await web.open(lambda: None)
    await one.open(lambda: told.append("child one is woken"))
    await two.open(lambda: None)

    await web.enqueue([Job("job-1", "alpha", "mail", b"{}", created=clock.seconds())])
    clock.advance(0)

    claim = await one.claim({"mail": Want(room=10)})
    (first,) = claim.jobs
    told.append(f"it claims {first.job.id}, attempt {first.job.attempt}")

    await one.retry(first.receipt, delay=30, reason="the mail server is busy")
    claim = await one.claim({"mail": Want(room=10)})
    told.append(f"now it gets {len(claim.jobs)} jobs, and the next is due in {claim.next_due:g} s")

    clock.advance(30)
    claim = await one.claim({"mail": Want(room=10)})
    (second,) = claim.jobs
    told.append(f"it claims {second.job.id}, attempt {second.job.attempt}, and dies before it starts")

    told.append(f"child two frees {await two.recover('one', suspects=(), cause='killed')} job")
    claim = await two.claim({"mail": Want(room=10)})
    (third,) = claim.jobs
    told.append(f"it claims {third.job.id}, attempt {third.job.attempt}")

    told.append(f"the dead child's receipt counts: {await one.ack(second.receipt)}")
    follow_up = Job("job-1.1", "alpha", "notify", b"{}")
    told.append(f"its own receipt counts: {await two.ack(third.receipt, [follow_up])}")

    (depth,) = await two.depths()
    told.append(f"{depth.waiting} job waits, in queue {depth.queue}")
    for store in (web, one, two):
        await store.close()
    return told

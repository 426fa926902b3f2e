import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from snqd.core.errors import NoHandler
from snqd.core.outcome import ACK
from snqd.handlers import QueueHandler
from snqd.handlers.loading import HandlerLoadError
from snqd.handlers.registry import HandlerRegistry

from .doubles import running_job, settings, site

QUEUE = "thumbnails"


class Plain(QueueHandler):
    def handle(self, job):
        """Done at once."""


class Picky(QueueHandler):
    def __init__(self, settings):
        super().__init__(settings)
        if settings.options.get("size") == "wrong":
            raise ValueError("size must be a number")


class Closing(QueueHandler):
    closing: Deferred

    def close(self):
        return self.closing


def made(cls=Plain, **values):
    own = settings(target=f"{__name__}:{cls.__name__}", **values)
    return own, HandlerRegistry(Clock(), {QUEUE: own})


def test_a_handler_is_built_once_and_shared_by_all_sites():
    own, registry = made()
    registry.load()
    slot = registry.for_site(site("alpha", own), QUEUE)
    assert registry.for_site(site("beta", own), QUEUE) is slot
    assert isinstance(slot.handler, Plain)
    assert slot.settings is own


def test_a_slot_runs_its_handler():
    own, registry = made()
    registry.load()
    assert registry.for_site(site("alpha", own), QUEUE).run(running_job()) is ACK


def test_a_site_with_options_of_its_own_has_a_handler_of_its_own():
    own, registry = made(options={"size": "100"})
    registry.load()
    shared = registry.for_site(site("alpha", own), QUEUE)
    larger = registry.for_site(site("beta", own, overrides={f"handler:{QUEUE}.size": "200"}), QUEUE)
    assert (shared.handler.options["size"], larger.handler.options["size"]) == ("100", "200")


def warnings_of(act):
    events = []
    globalLogPublisher.addObserver(events.append)
    try:
        act()
    finally:
        globalLogPublisher.removeObserver(events.append)
    return [(event["where"] + event["option"]) for event in events if "problem" in event]


def test_misspelt_keys_are_told_once_where_they_stand():
    own, registry = made(options={"concurency": "2", "size": "100"})
    assert warnings_of(registry.load) == [f"[handler:{QUEUE}] concurency"]
    beta = site("beta", own, overrides={f"handler:{QUEUE}.timout": "5"})
    assert warnings_of(lambda: registry.for_site(beta, QUEUE)) == [f"[site:beta] handler:{QUEUE}.timout"]
    assert warnings_of(lambda: registry.for_site(beta, QUEUE)) == []


def test_sites_that_say_the_same_share_their_handler():
    own, registry = made()
    registry.load()
    overrides = {f"handler:{QUEUE}.size": "200"}
    slot = registry.for_site(site("beta", own, overrides=overrides), QUEUE)
    assert registry.for_site(site("gamma", own, overrides=overrides), QUEUE) is slot


def test_what_concerns_the_queue_alone_makes_no_other_handler():
    own, registry = made()
    registry.load()
    slot = registry.for_site(site("beta", own, overrides={"queue.max_retries": "1"}), QUEUE)
    assert slot is registry.for_site(site("alpha", own), QUEUE)


def test_a_queue_that_nobody_handles_is_refused():
    _, registry = made()
    registry.load()
    with pytest.raises(NoHandler, match="site alpha has no handler for queue thumbnails"):
        registry.for_site(site("alpha"), QUEUE)


def test_a_queue_that_the_site_switches_off_is_refused():
    own, registry = made()
    registry.load()
    with pytest.raises(NoHandler, match="switches it off"):
        registry.for_site(site("alpha", own, overrides={f"handlers.{QUEUE}": "off"}), QUEUE)


def test_a_handler_that_cannot_be_loaded_is_an_error_at_start():
    registry = HandlerRegistry(Clock(), {QUEUE: settings(target="no.such.Handler")})
    with pytest.raises(HandlerLoadError):
        registry.load()


def test_options_of_a_site_that_its_handler_refuses_are_an_error_of_that_site():
    own, registry = made(Picky)
    registry.load()
    with pytest.raises(HandlerLoadError, match="size must be a number"):
        registry.for_site(site("alpha", own, overrides={f"handler:{QUEUE}.size": "wrong"}), QUEUE)


class ReactorWithThreads(Clock):
    """Never asked to run anything from a thread here."""


def test_all_handlers_of_a_queue_share_its_threads():
    own = settings(target=f"{__name__}:Plain", threads=2)
    registry = HandlerRegistry(ReactorWithThreads(), {QUEUE: own})
    registry.load()
    shared = registry.for_site(site("alpha", own), QUEUE)
    other = registry.for_site(site("beta", own, overrides={f"handler:{QUEUE}.size": "200"}), QUEUE)
    assert shared.threads is not None
    assert other.threads is shared.threads
    assert shared.stuck == 0
    assert registry.close().called


def test_closing_waits_for_the_handlers():
    _, registry = made(Closing)
    registry.load()
    Closing.closing = Deferred()
    closed = registry.close()
    assert not closed.called
    Closing.closing.callback(None)
    assert closed.called


def test_a_handler_that_fails_to_close_is_logged():
    _, registry = made(Closing)
    registry.load()
    Closing.closing = fail(OSError("disk"))
    events = []
    globalLogPublisher.addObserver(events.append)
    try:
        closed = registry.close()
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert closed.called
    assert [event["queue"] for event in events] == [QUEUE]


class Noted(QueueHandler):
    """Notes in `events` when it is started and closed."""

    events: list = []

    def start(self):
        self.events.append(f"start {self.options['size']}")

    def close(self):
        self.events.append(f"close {self.options['size']}")

    def handle(self, job):
        """Done at once."""


@pytest.fixture
def events():
    Noted.events = []
    return Noted.events


def noted(size, **values):
    return settings(target=f"{__name__}:Noted", options={"size": size}, **values)


def test_a_handler_is_ready_before_it_is_used_and_the_old_one_is_closed_after_its_last_job(events):
    old, new = noted("1"), noted("2")
    registry = HandlerRegistry(Clock(), {QUEUE: old})
    registry.load()
    slot = registry.for_site(site("alpha", old), QUEUE)
    slot.take()
    prepared = registry.prepare({QUEUE: new})
    assert events == ["start 1", "start 2"]
    assert registry.for_site(site("alpha", old), QUEUE) is slot
    registry.replace(prepared)
    assert registry.for_site(site("alpha", new), QUEUE).handler.options["size"] == "2"
    assert events == ["start 1", "start 2"]
    slot.give()
    assert events == ["start 1", "start 2", "close 1"]


def test_a_handler_that_stays_the_same_is_kept(events):
    old = noted("1")
    registry = HandlerRegistry(Clock(), {QUEUE: old})
    registry.load()
    slot = registry.for_site(site("alpha", old), QUEUE)
    same = noted("1", weight=3.0, concurrency=7, where="line 9")
    registry.replace(registry.prepare({QUEUE: same}))
    assert registry.for_site(site("alpha", same), QUEUE) is slot
    assert events == ["start 1"]


def test_a_handler_that_can_not_be_made_changes_nothing_and_the_others_are_closed(events):
    old = noted("1")
    registry = HandlerRegistry(Clock(), {QUEUE: old})
    registry.load()
    with pytest.raises(HandlerLoadError, match="No module named 'nowhere'"):
        registry.prepare({QUEUE: noted("2"), "mail": settings(queue="mail", target="nowhere:Handler")})
    assert events == ["start 1", "start 2", "close 2"]
    assert registry.for_site(site("alpha", old), QUEUE).handler.options["size"] == "1"


def test_what_was_prepared_in_vain_is_closed(events):
    registry = HandlerRegistry(Clock(), {QUEUE: noted("1")})
    registry.load()
    registry.drop(registry.prepare({QUEUE: noted("2")}))
    assert events == ["start 1", "start 2", "close 2"]


def test_a_queue_that_is_gone_has_no_handler(events):
    registry = HandlerRegistry(Clock(), {QUEUE: noted("1")})
    registry.load()
    registry.replace(registry.prepare({}))
    assert events == ["start 1", "close 1"]
    with pytest.raises(NoHandler):
        registry.for_site(site("alpha"), QUEUE)


def test_a_sites_own_handler_is_closed_when_it_was_idle_for_long(events):
    own = noted("1")
    registry = HandlerRegistry(Clock(), {QUEUE: own})
    registry.load()
    larger = site("beta", own, overrides={f"handler:{QUEUE}.size": "9"})
    slot = registry.for_site(larger, QUEUE)
    registry.close_idle()
    slot.take()
    registry.close_idle()
    registry.close_idle()
    assert events == ["start 1", "start 9"]  # a job runs in it
    slot.give()
    registry.close_idle()
    assert events == ["start 1", "start 9", "close 9"]
    registry.for_site(larger, QUEUE)
    assert events[-1] == "start 9"


def test_close_waits_for_what_is_being_closed_already():
    _, registry = made(Closing)
    registry.load()
    Closing.closing = Deferred()
    registry.replace(registry.prepare({}))
    closed = registry.close()
    assert not closed.called
    Closing.closing.callback(None)
    assert closed.called


def test_close_closes_handlers_whose_jobs_never_ended(events):
    old = noted("1")
    registry = HandlerRegistry(Clock(), {QUEUE: old})
    registry.load()
    registry.for_site(site("alpha", old), QUEUE).take()
    registry.replace(registry.prepare({}))
    registry.close()
    assert events == ["start 1", "close 1"]


# Between Prepare and Commit


def test_a_sites_own_handler_that_was_prepared_for_all_is_not_closed_for_idleness(events):
    old, new = noted("1"), noted("9")
    registry = HandlerRegistry(Clock(), {QUEUE: old})
    registry.load()
    slot = registry.for_site(site("beta", old, overrides={f"handler:{QUEUE}.size": "9"}), QUEUE)
    prepared = registry.prepare({QUEUE: new})
    registry.close_idle()
    registry.close_idle()
    prepared.commit()
    assert registry.for_site(site("alpha", new), QUEUE) is slot
    slot.take()
    slot.give()
    registry.prepare({}).commit()
    assert events == ["start 1", "start 9", "close 1", "close 9"]


def test_a_sites_own_handler_is_closed_for_idleness_once_the_change_was_dropped(events):
    old = noted("1")
    registry = HandlerRegistry(Clock(), {QUEUE: old})
    registry.load()
    registry.for_site(site("beta", old, overrides={f"handler:{QUEUE}.size": "9"}), QUEUE)
    registry.prepare({QUEUE: noted("9")}).drop()
    registry.close_idle()
    registry.close_idle()
    assert events == ["start 1", "start 9", "close 9"]


class Pool:
    """Counts the pools that run."""

    running = 0

    def __init__(self, size, name):
        self.stopped = False

    def start(self):
        Pool.running += 1

    def stop(self):
        assert not self.stopped
        self.stopped = True
        Pool.running -= 1


@pytest.fixture
def pools(monkeypatch):
    monkeypatch.setattr(Pool, "running", 0)
    monkeypatch.setattr("snqd.handlers.registry.make_pool", Pool)
    return Pool


@pytest.mark.parametrize("commit", [True, False])
def test_threads_that_were_prepared_anew_outlive_the_last_job_of_those_before(pools, commit):
    four, two = settings(target=f"{__name__}:Plain", threads=4), settings(target=f"{__name__}:Plain", threads=2)
    registry = HandlerRegistry(Clock(), {QUEUE: four})
    registry.load()
    job = registry.for_site(site("alpha", four), QUEUE)
    job.take()
    registry.prepare({QUEUE: two}).commit()
    prepared = registry.prepare({QUEUE: four})
    assert pools.running == 2
    job.give()
    assert pools.running == 2
    if commit:
        prepared.commit()
        assert registry.for_site(site("alpha", four), QUEUE).threads._pool.stopped is False
    else:
        prepared.drop()
    assert pools.running == 1
    registry.close()
    assert pools.running == 0


@pytest.mark.parametrize("end", ["commit", "drop"])
def test_what_is_prepared_when_the_child_leaves_is_closed_once_and_never_used(events, end):
    registry = HandlerRegistry(Clock(), {QUEUE: noted("1")})
    registry.load()
    prepared = registry.prepare({QUEUE: noted("2")})
    registry.close()
    assert sorted(events) == ["close 1", "close 2", "start 1", "start 2"]
    getattr(prepared, end)()
    registry.close()
    assert len(events) == 4

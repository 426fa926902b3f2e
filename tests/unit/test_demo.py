import pytest
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher

from snqd.core.outcome import ACK, DeadLetter
from snqd.demo import Greet, Resize
from snqd.testing import FollowUp, run_job, run_job_async


@pytest.fixture
def events():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def test_greet_greets_in_the_log(events):
    assert run_job(Greet, {"name": "Ada"}, site="alpha").outcome is ACK
    shown = [event["log_format"].format(**event) for event in events]
    assert shown == ["Hello Ada from alpha"]
    assert events[0]["log_level"] is LogLevel.info


def test_greet_uses_the_greeting_of_the_site(events):
    run_job(Greet, {"name": "Ada"}, site="beta", app={"greet": {"greeting": "Welcome"}})
    assert events[0]["log_format"].format(**events[0]) == "Welcome Ada from beta"


@pytest.mark.parametrize("payload", [None, {}, {"name": ""}, ["Ada"], "Ada"])
def test_greet_rejects_what_has_no_name(payload):
    assert run_job(Greet, payload).outcome == DeadLetter('nobody to greet: the payload must look like {"name": "Ada"}')


def test_resize_waits_and_has_the_image_reported():
    clock = Clock()
    result = run_job_async(Resize, {"image": 5, "seconds": 2}, reactor=clock)
    clock.advance(1)
    assert not result.called
    clock.advance(1)
    assert result.result.outcome is ACK
    assert result.result.follow_ups == [FollowUp("example", "greet", {"name": "image 5"}, 0.0)]


@pytest.mark.parametrize("payload", [None, {}])
def test_resize_has_defaults(payload):
    clock = Clock()
    result = run_job_async(Resize, payload, reactor=clock)
    clock.advance(0.05)
    assert result.result.follow_ups == [FollowUp("example", "greet", {"name": "image ?"}, 0.0)]


@pytest.mark.parametrize("payload", [7, ["image"], {"seconds": "soon"}, {"seconds": -1}])
def test_resize_rejects_what_it_cannot_make_sense_of(payload):
    assert isinstance(run_job(Resize, payload).outcome, DeadLetter)

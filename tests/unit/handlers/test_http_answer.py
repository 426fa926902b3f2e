import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from snqd.handlers import Reject, RetryLater
from snqd.handlers.http_answer import BODY_TIMEOUT, MAX_BODY_BYTES, Answer, delay_of, read_answer

NOW = 1_700_000_000.0
ORIGIN = "https://example.org"


def settle(code, **values):
    return Answer(ORIGIN, code, **values).settle(NOW, 3600)


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_2xx_acknowledges(code):
    settle(code)


@pytest.mark.parametrize("code", [400, 401, 404, 410, 422, 499])
def test_4xx_rejects(code):
    with pytest.raises(Reject, match=f"{ORIGIN} answered {code}: no such image"):
        settle(code, body=b"\nno such image\nreally\n")


@pytest.mark.parametrize("code", [500, 502, 504, 600, 199])
def test_other_codes_follow_the_retry_policy(code):
    with pytest.raises(RetryLater, match=f"{ORIGIN} answered {code}") as caught:
        settle(code, retry_after="30")
    assert caught.value.delay is None


@pytest.mark.parametrize("code", [300, 301, 302, 303, 304])
def test_redirects_that_turn_a_post_into_a_get_are_not_followed(code):
    with pytest.raises(RetryLater, match=f"redirects with {code}, which does not keep a POST"):
        settle(code, location="https://elsewhere.example/")


@pytest.mark.parametrize("code", [429, 503])
def test_429_and_503_wait_as_long_as_they_ask_for(code):
    with pytest.raises(RetryLater, match=f"answered {code}: busy") as caught:
        settle(code, retry_after="30", body=b"busy")
    assert caught.value.delay == 30


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("99999", 3600),
        ("9" * 10_000, 3600),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(text, delay):
    assert delay_of(text, NOW, 3600) == delay


class FakeResponse:
    def __init__(self, code=200, headers=None):
        self.code = code
        self.headers = Headers(headers or {})
        self.transport = StringTransport()

    def deliverBody(self, protocol):
        self.body = protocol
        protocol.makeConnection(self.transport)


def reading(response):
    clock = Clock()
    return clock, Deferred.fromCoroutine(read_answer(ORIGIN, response, clock))


def test_an_answer_has_its_headers_and_body():
    response = FakeResponse(429, {"Retry-After": ["30"], "Location": ["/elsewhere"]})
    clock, answer = reading(response)
    response.body.dataReceived(b"bu")
    response.body.dataReceived(b"sy")
    response.body.connectionLost(Failure(ResponseDone()))
    assert answer.result == Answer(ORIGIN, 429, "30", "/elsewhere", b"busy")
    assert clock.getDelayedCalls() == []


def test_no_more_of_a_body_is_read_than_is_kept():
    response = FakeResponse()
    clock, answer = reading(response)
    response.body.dataReceived(b"x" * MAX_BODY_BYTES)
    assert not answer.called
    response.body.dataReceived(b"x")
    assert len(answer.result.body) == MAX_BODY_BYTES
    assert response.transport.disconnecting
    assert clock.getDelayedCalls() == []


def test_a_body_that_never_ends_is_given_up():
    response = FakeResponse()
    clock, answer = reading(response)
    response.body.dataReceived(b"begin")
    clock.advance(BODY_TIMEOUT)
    assert answer.result.body == b"begin"
    assert response.transport.disconnecting


def test_cancelling_drops_the_connection():
    response = FakeResponse()
    clock, answer = reading(response)
    answer.addErrback(lambda _: None)
    answer.cancel()
    assert response.transport.disconnecting
    assert clock.getDelayedCalls() == []

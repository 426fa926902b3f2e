import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseNeverReceived
from twisted.web.http_headers import Headers

from snqd.core.outcome import ACK, DeadLetter, Retry
from snqd.handlers.addresses import AddressRefused
from snqd.handlers.http import MAX_REDIRECTS, HttpHandler, _PlainAgent
from snqd.handlers.invoke import run

from .doubles import running_job, settings

URL = "https://example.org/hooks?token=secret"


class FakeResponse:
    length = 0

    def __init__(self, code, body=b"", headers=None):
        self.code = code
        self.headers = Headers(headers or {})
        self._body = body

    def deliverBody(self, protocol):
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))


class FakeAgent:
    """Answers each request with the next of `answers`."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def request(self, method, uri, headers=None, bodyProducer=None):
        self.requests.append((method, uri, headers, bodyProducer))
        answer = self.answers.pop(0)
        return answer if isinstance(answer, Deferred) else succeed(answer)


def post(*answers, url=URL, body=b'{"id": 7}', **values):
    handler = HttpHandler(settings(target=url, **values))
    handler.reactor = reactor = MemoryReactorClock()
    handler.start()
    agent = FakeAgent(*answers)
    handler._agent = _PlainAgent(agent)
    return run(handler, running_job(body), reactor), agent


def redirect(code, location):
    return FakeResponse(code, headers={"Location": [location]})


def test_a_job_is_posted_as_json_with_its_headers():
    outcome, agent = post(FakeResponse(204))
    method, uri, headers, body = agent.requests[0]
    assert outcome is ACK
    assert (method, uri, body.length) == (b"POST", URL.encode(), len('{"id":7}'))
    assert {
        name: headers.getRawHeaders(name) for name in ("X-Snq-Site", "X-Snq-Queue", "X-Snq-Id", "X-Snq-Attempt")
    } == {
        "X-Snq-Site": ["alpha"],
        "X-Snq-Queue": ["thumbnails"],
        "X-Snq-Id": ["job-1"],
        "X-Snq-Attempt": ["2"],
    }
    assert headers.getRawHeaders("Content-Type") == ["application/json"]


def test_no_compression_is_asked_for_or_undone():
    response = FakeResponse(400, b"as it is", {"Content-Encoding": ["gzip"]})
    outcome, agent = post(response)
    assert not agent.requests[0][2].hasHeader("Accept-Encoding")
    assert outcome == DeadLetter("https://example.org answered 400: as it is")


def test_cookies_do_not_travel_to_the_next_job():
    handler = HttpHandler(settings(target=URL))
    handler.reactor = MemoryReactorClock()
    handler.start()
    agent = FakeAgent(FakeResponse(200, headers={"Set-Cookie": ["session=alpha"]}), FakeResponse(200))
    handler._agent = _PlainAgent(agent)
    for _ in range(2):
        run(handler, running_job(), handler.reactor)
    assert not agent.requests[1][2].hasHeader("Cookie")


def test_retry_after_is_bounded_by_the_queues_longest_delay():
    busy = FakeResponse(503, headers={"Retry-After": ["7200"]})
    outcome, _ = post(busy, retry_max_delay=100.0)
    assert outcome == Retry("https://example.org answered 503", 100)


@pytest.mark.parametrize("code", [307, 308])
def test_a_redirect_that_keeps_the_post_is_followed(code):
    outcome, agent = post(redirect(code, "/new?x=1"), FakeResponse(200))
    assert outcome is ACK
    assert [(method, uri) for method, uri, _, _ in agent.requests] == [
        (b"POST", URL.encode()),
        (b"POST", b"https://example.org/new?x=1"),
    ]
    assert agent.requests[1][3].length == len('{"id":7}')


def test_other_redirects_are_not_followed():
    outcome, agent = post(redirect(301, "/new"))
    assert outcome.reason == "https://example.org redirects with 301, which does not keep a POST; 307 and 308 do"
    assert len(agent.requests) == 1


def test_redirects_are_followed_five_times():
    assert MAX_REDIRECTS == 5
    assert post(*[redirect(307, "/new")] * 5, FakeResponse(200))[0] is ACK
    outcome, agent = post(*[redirect(307, "/new")] * 6)
    assert outcome == Retry("https://example.org redirects more than 5 times")
    assert len(agent.requests) == 6


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("ftp://example.org/", "redirects to ftp: http and https alone are followed"),
        ("http://example.org/", "redirects from https to http, which would send the payload in clear"),
    ],
)
def test_a_redirect_to_where_no_job_may_go_rejects(location, reason):
    outcome, agent = post(redirect(307, location))
    assert outcome == DeadLetter(f"https://example.org {reason}")
    assert len(agent.requests) == 1


@pytest.mark.parametrize(
    "location", ["http://[::1", "https://:80/", "https://me:secret@example.org/", "https://example.org:port/"]
)
def test_a_redirect_to_nowhere_is_a_retry(location):
    outcome, _ = post(redirect(307, location))
    assert outcome.reason.startswith("https://example.org redirects to where no request can go: ")


def test_a_redirect_without_a_location_is_a_retry():
    assert post(FakeResponse(307))[0] == Retry("https://example.org redirects with 307 and says not where to")


def test_a_refused_address_rejects():
    outcome, _ = post(fail(AddressRefused("it is at 127.0.0.1")))
    assert outcome == DeadLetter("it is at 127.0.0.1")


def test_a_connection_that_fails_is_a_retry_that_names_no_secret():
    outcome, _ = post(fail(ConnectError(string="host is down")))
    assert outcome.reason.startswith("https://example.org: ConnectError: ")
    assert "secret" not in outcome.reason


def test_what_is_wrapped_in_an_error_of_the_client_is_told():
    error = ResponseNeverReceived([Failure(ConnectError(string="certificate verify failed"))])
    assert "certificate verify failed" in post(fail(error))[0].reason


def test_a_payload_that_cannot_be_decoded_is_never_sent():
    outcome, agent = post(body=b"{")
    assert isinstance(outcome, DeadLetter)
    assert agent.requests == []


def test_a_request_is_cancelled_with_its_job():
    cancelled = []
    waiting, _ = post(Deferred(cancelled.append))
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.cancel()
    assert cancelled

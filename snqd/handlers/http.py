"""HttpHandler: hands each job to an ``http://`` or ``https://`` URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

from hyperlink import EncodedURL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from snqd.config.settings import HandlerSettings
from snqd.handlers.addresses import AddressGuard, AddressRefused, GuardedEndpoints
from snqd.handlers.http_answer import Answer, read_answer
from snqd.handlers.queue_handler import QueueHandler, Reject, RetryLater
from snqd.handlers.running_job import RunningJob
from snqd.wire.payload import to_json_text

MAX_REDIRECTS = 5
KEPT_CONNECTIONS = 10
IDLE_TIMEOUT = 30
"""Seconds that an idle connection is kept; a POST on one that the server has just closed fails, and costs a retry."""

_KEEP_THE_POST = (307, 308)


class HttpHandler(QueueHandler):
    """Posts a job's payload as JSON, with the headers X-Snq-Site, X-Snq-Queue, X-Snq-Id and X-Snq-Attempt.

    2xx acknowledges; 429 and 503 retry, after Retry-After if it is there, at most ``retry_max_delay``; other 4xx
    reject; all else retries: other codes, connections that fail, certificates that do not verify. 307 and 308 are
    followed at most `MAX_REDIRECTS` times, from https to https only. 301, 302 and 303 are not, since they turn a
    POST into a GET: they retry. Private addresses are refused, at each connection, unless they are in
    ``http_allow``.
    """

    def __init__(self, settings: HandlerSettings) -> None:
        super().__init__(settings)
        _check_url(settings.target)
        self._guard = AddressGuard(settings.http_allow)

    def start(self) -> None:
        """Make the pool of connections that all jobs share."""
        self._pool = HTTPConnectionPool(self.reactor)
        self._pool.maxPersistentPerHost = KEPT_CONNECTIONS
        self._pool.cachedConnectionTimeout = IDLE_TIMEOUT
        endpoints = GuardedEndpoints(self.reactor, self._guard)
        self._agent = _PlainAgent(Agent.usingEndpointFactory(self.reactor, endpoints, self._pool))

    def close(self) -> Deferred[Any]:
        """Close the idle connections."""
        closed: Deferred[Any] = self._pool.closeCachedConnections()
        return closed

    async def handle(self, job: RunningJob) -> None:
        """Post the job and turn the answer into its outcome."""
        url, body = self.settings.target, to_json_text(job.payload).encode()
        headers = _headers(job)
        for _ in range(1 + MAX_REDIRECTS):
            answer = await self._post(url, headers, body)
            if answer.code not in _KEEP_THE_POST:
                return answer.settle(job.time(), self.settings.retry.max_delay)
            url = _redirected(url, answer)
        raise RetryLater(None, f"{_origin(self.settings.target)} redirects more than {MAX_REDIRECTS} times")

    async def _post(self, url: str, headers: Headers, body: bytes) -> Answer:
        origin = _origin(url)
        # A client of its own for each request, since clients keep cookies, which would travel from site to site.
        client = HTTPClient(self._agent)
        try:
            response = await client.request(
                "POST",
                _Url.from_text(url),
                headers=headers,
                data=body,
                allow_redirects=False,
                unbuffered=True,
                reactor=self.reactor,
            )
            return await read_answer(origin, response, self.reactor)
        except CancelledError:
            raise
        except AddressRefused as error:
            raise Reject(str(error)) from None
        except Exception as error:
            raise RetryLater(None, f"{origin}: {_described(error)}") from error


def _headers(job: RunningJob) -> Headers:
    fields = {
        "Content-Type": "application/json",
        "User-Agent": "snqd",
        "X-Snq-Site": job.site.nickname,
        "X-Snq-Queue": job.queue,
        "X-Snq-Id": job.id,
        "X-Snq-Attempt": str(job.attempt),
    }
    return Headers({name: [value] for name, value in fields.items()})


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("the URL names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"the URL at {parts.hostname} holds a user name or password: http handlers send none")
    _ = parts.port  # raises ValueError where it is no port


def _redirected(url: str, answer: Answer) -> str:
    """Where `answer` sends a request to `url`.

    :raises Reject: if a job must not go there.
    :raises RetryLater: if that is nowhere.
    """
    if not answer.location:
        raise RetryLater(None, f"{answer.origin} redirects with {answer.code} and says not where to")
    try:
        target = urljoin(url, answer.location)
        scheme = urlsplit(target).scheme
        _check_url(target)
    except ValueError as error:
        raise RetryLater(None, f"{answer.origin} redirects to where no request can go: {error}") from error
    if scheme not in ("http", "https"):
        raise Reject(f"{answer.origin} redirects to {scheme}: http and https alone are followed")
    if scheme == "http" and url.startswith("https:"):
        raise Reject(f"{answer.origin} redirects from https to http, which would send the payload in clear")
    return target


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _described(error: Exception) -> str:
    """An error of the HTTP client; some only wrap a list of Failures that say what is wrong."""
    causes = [failure.value for failure in getattr(error, "reasons", [])] or [error]
    return "; ".join(f"{type(cause).__name__}: {cause}".rstrip(": ") for cause in causes)


class _Url(EncodedURL):
    """A URL as treq takes it, with an IPv6 address for a host, too: hyperlink takes that for a name to be encoded."""

    def to_uri(self) -> EncodedURL:
        return self if ":" in self.host else super().to_uri()


@implementer(IAgent)
class _PlainAgent:
    """Keeps treq from asking for compressed answers and from unpacking them: a small one can unpack to gigabytes."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        plain = headers.copy() if headers is not None else Headers()
        plain.removeHeader(b"accept-encoding")
        response: Deferred[IResponse] = self._agent.request(method, uri, plain, bodyProducer)
        return response.addCallback(_never_encoded)


def _never_encoded(response: IResponse) -> IResponse:
    response.headers.removeHeader(b"content-encoding")
    return response

"""HttpHandler against a real server on the loopback interface."""

import datetime
from pathlib import Path

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.ssl import PrivateCertificate
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from snqd.config.load import load
from snqd.config.settings import HandlerSettings
from snqd.config.sources import Sources
from snqd.core.clocks import unix_time
from snqd.core.job import Job
from snqd.core.outcome import ACK, DeadLetter, Retry
from snqd.handlers.invoke import run
from snqd.handlers.loading import load_handler
from snqd.handlers.running_job import JobContext, RunningJob
from snqd.sites.registry import SiteRegistry

SNQ_INI = "/etc/snq.ini"
ALPHA = SiteRegistry(load(Sources(Path(SNQ_INI), {SNQ_INI: "[site:alpha]\n"}), plugins={})).get("alpha")
LOOPBACK = ("127.0.0.0/8",)


class Endpoint(Resource):
    """Answers POSTs as its paths say: /CODE, /redirect/N, /endless, /never, and /ok."""

    isLeaf = True

    def __init__(self):
        super().__init__()
        self.requests = []
        self.connections = set()
        self.location = None

    def render(self, request):
        self.requests.append((request.method, request.path, request.requestHeaders, request.content.read()))
        self.connections.add(request.transport)
        verb, *rest = request.postpath
        return getattr(self, f"answer_{verb.decode()}", self.answer_code)(request, rest)

    def answer_code(self, request, rest):
        request.setResponseCode(int(request.postpath[0]))
        return b"the reason\nand more"

    def answer_ok(self, request, rest):
        return b""

    def answer_busy(self, request, rest):
        request.setResponseCode(429)
        request.setHeader("Retry-After", "7")
        return b""

    def answer_redirect(self, request, rest):
        left = int(rest[0])
        request.setResponseCode(307)
        request.setHeader("Location", f"/redirect/{left - 1}" if left else "/ok")
        return b""

    def answer_elsewhere(self, request, rest):
        request.setResponseCode(308)
        request.setHeader("Location", self.location)
        return b""

    def answer_endless(self, request, rest):
        request.setResponseCode(500)
        request.write(b"endless\n" + b"x" * 1_000_000)
        return NOT_DONE_YET

    def answer_never(self, request, rest):
        self.gone = request.notifyFinish()
        self.gone.addErrback(lambda _: None)
        return NOT_DONE_YET

    def answer_hangup(self, request, rest):
        request.transport.abortConnection()
        return NOT_DONE_YET


class Farm:
    """A server, and handlers that post to it."""

    def __init__(self):
        self.endpoint = Endpoint()
        self._handlers = []
        self._ports = []
        self._channels = set()

    async def listen(self, make_endpoint):
        channels = self._channels

        class Channel(HTTPChannel):
            def connectionMade(self):
                channels.add(self)
                super().connectionMade()

        site = Site(self.endpoint)
        site.protocol = Channel
        port = await make_endpoint(reactor).listen(site)
        self._ports.append(port)
        return port.getHost().port

    async def start(self):
        self.port = await self.listen(lambda reactor: TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))

    def handler(self, target, http_allow=LOOPBACK, timeout=30.0):
        settings = HandlerSettings("hooks", target, timeout=timeout, http_allow=http_allow)
        handler = load_handler(settings, reactor)
        self._handlers.append(handler)
        return handler

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    def post(self, path, body=b'{"id":7}', **values):
        return self.run(self.handler(self.url(path), **values), body)

    def run(self, handler, body=b'{"id":7}'):
        surroundings = JobContext(lambda site, queue: None, unix_time)
        job = RunningJob(Job("job-1", "alpha", "hooks", body, attempt=2), ALPHA, surroundings)
        outcome = run(handler, job, reactor)
        return outcome if isinstance(outcome, Deferred) else succeed(outcome)

    async def stop(self):
        for handler in self._handlers:
            await handler.close()
        for channel in self._channels:
            channel.transport.abortConnection()
        for port in self._ports:
            await maybeDeferred(port.stopListening)


@pytest.fixture
def farm():
    farm = Farm()
    pytest_twisted.blockon(Deferred.fromCoroutine(farm.start()))
    yield farm
    pytest_twisted.blockon(Deferred.fromCoroutine(farm.stop()))


@pytest_twisted.ensureDeferred
async def test_a_job_is_posted(farm):
    assert await farm.post("ok", b'{"name":"Zo\xc3\xab"}') is ACK
    method, _, headers, body = farm.endpoint.requests[0]
    assert (method, body) == (b"POST", '{"name":"Zoë"}'.encode())
    sent = [headers.getRawHeaders(f"X-Snq-{name}") for name in ("Site", "Queue", "Id", "Attempt")]
    assert sent == [["alpha"], ["hooks"], ["job-1"], ["2"]]


@pytest.mark.parametrize(("code", "kind"), [(404, DeadLetter), (500, Retry), (503, Retry)])
@pytest_twisted.ensureDeferred
async def test_the_answer_is_the_outcome(farm, code, kind):
    assert await farm.post(str(code)) == kind(f"http://127.0.0.1:{farm.port} answered {code}: the reason")


@pytest_twisted.ensureDeferred
async def test_a_busy_endpoint_is_asked_again_when_it_says(farm):
    assert (await farm.post("busy")).delay == 7


@pytest_twisted.ensureDeferred
async def test_redirects_carry_the_payload_along(farm):
    assert await farm.post("redirect/4") is ACK
    assert [(method, body) for method, _, _, body in farm.endpoint.requests] == [(b"POST", b'{"id":7}')] * 6


@pytest_twisted.ensureDeferred
async def test_too_many_redirects_are_a_retry(farm):
    assert "redirects more than 5 times" in (await farm.post("redirect/6")).reason


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]", "[::1]"]
)
@pytest_twisted.ensureDeferred
async def test_private_addresses_are_refused_however_they_are_written(farm, host):
    outcome = await farm.run(farm.handler(f"http://{host}:{farm.port}/ok", http_allow=()))
    assert isinstance(outcome, DeadLetter)
    assert "http_allow" in outcome.reason
    assert farm.endpoint.requests == []


@pytest_twisted.ensureDeferred
async def test_a_redirect_to_a_private_address_is_refused(farm):
    farm.endpoint.location = "http://[::1]:9/"
    outcome = await farm.post("elsewhere")
    assert isinstance(outcome, DeadLetter)
    assert outcome.reason.startswith("::1 is at ::1: ")


@pytest_twisted.ensureDeferred
async def test_a_body_without_end_is_cut(farm):
    outcome = await farm.post("endless")
    assert outcome.reason == f"http://127.0.0.1:{farm.port} answered 500: endless"


@pytest_twisted.ensureDeferred
async def test_an_endpoint_that_never_answers_runs_into_the_timeout(farm):
    outcome = await farm.post("never", timeout=0.3)
    assert outcome == Retry("ran longer than its timeout of 0.3 s")
    await farm.endpoint.gone


@pytest_twisted.ensureDeferred
async def test_an_endpoint_that_hangs_up_is_a_retry(farm):
    outcome = await farm.post("hangup")
    assert isinstance(outcome, Retry)
    assert "Connection" in outcome.reason


@pytest_twisted.ensureDeferred
async def test_nobody_listening_is_a_retry(farm):
    handler = farm.handler(farm.url("ok"))
    await farm.stop()
    assert "ConnectionRefusedError" in (await farm.run(handler)).reason


@pytest_twisted.ensureDeferred
async def test_jobs_share_their_connections(farm):
    handler = farm.handler(farm.url("ok"))
    for _ in range(5):
        assert await farm.run(handler) is ACK
    assert len(farm.endpoint.connections) == 1


@pytest_twisted.ensureDeferred
async def test_many_jobs_are_posted_at_once(farm):
    handler = farm.handler(farm.url("ok"))
    outcomes = await gatherResults([farm.run(handler) for _ in range(50)])
    assert outcomes == [ACK] * 50


@pytest_twisted.ensureDeferred
async def test_a_large_payload_arrives_whole(farm):
    body = b'"' + b"x" * 10_000_000 + b'"'
    assert await farm.post("ok", body) is ACK
    assert farm.endpoint.requests[0][3] == body


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_nobody_vouches_for_is_refused(farm):
    certificate = self_signed("localhost")
    port = await farm.listen(
        lambda reactor: SSL4ServerEndpoint(reactor, 0, certificate.options(), interface="127.0.0.1")
    )
    outcome = await farm.run(farm.handler(f"https://localhost:{port}/ok"))
    assert isinstance(outcome, Retry)
    assert "certificate verify failed" in outcome.reason
    assert farm.endpoint.requests == []


def self_signed(host):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return PrivateCertificate.loadPEM(private + certificate.public_bytes(serialization.Encoding.PEM))

"""Webhooks through a forward proxy, over real sockets: what it sees, and what comes of its refusals."""

import asyncio
import base64
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from processor import __version__
from processor.delivery.http import Poster, WebhookRequest
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.delivery.proxy import Proxy
from processor.delivery.tls import tls_context
from processor.egress import EgressPolicy
from tests.support.proxy import proxying
from tests.support.receivers import (
    Authority,
    Behaviour,
    FixedNames,
    Reader,
    Receiver,
    Writer,
    answering,
    receiving,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NAMES = {"hooks.example": "127.0.0.1", "other.example": "127.0.0.1"}
NOBODY = FixedNames({})
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def on_loop(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work)

    return on_loop


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("ca"))


def poster(proxy: str, **options: Any) -> Poster:
    options.setdefault("resolver", NOBODY)
    options.setdefault("timeout", 5.0)
    policy = options.pop("policy", None) or EgressPolicy()
    return Poster(policy, options.pop("tls", None) or tls_context(), proxy=Proxy.read(proxy), **options)


def request(url: str) -> WebhookRequest:
    return WebhookRequest(url=url, webhook_id="msg_x", attempt=1, body=b"{}")


def check_failed(outcome: Outcome, stage: Stage, words: str) -> None:
    assert (outcome.kind, outcome.reason, outcome.stage) == (Kind.FAILED, None, stage), outcome
    assert words in outcome.error
    # Neither a 410 nor a 4xx of the proxy says anything about the receiver.
    assert outcome.status is None
    assert outcome.retry_after is None
    for secret in ("SECRET", "pass%2Fword", "pass/word"):
        assert secret not in outcome.error


def test_tunnel_ends_at_the_receiver_and_the_proxy_sees_no_more_than_its_address(
    run: Run, authority: Authority
) -> None:
    async def work() -> None:
        server = authority.serving(authority.issue("hooks.example"))
        async with (
            receiving(answering(OK), tls=server) as receiver,
            proxying(NAMES, login="us er:pass/word") as proxy,
            poster(proxy.url("us%20er:pass%2Fword@"), tls=tls_context(ca=authority.path)) as sender,
        ):
            for _ in range(2):
                outcome = await sender.post(request(receiver.url("hooks.example", "/SECRET", "https")))
                assert (outcome.kind, outcome.status, outcome.snippet) == (Kind.DELIVERED, 200, "ok")
        assert proxy.asked == [f"CONNECT hooks.example:{receiver.port} HTTP/1.1"]
        assert b"SECRET" not in proxy.heads[0]
        assert f"User-Agent: Tocsin/{__version__}".encode() in proxy.heads[0]
        assert f"Host: hooks.example:{receiver.port}".encode() in proxy.heads[0]
        assert [receiver.header("proxy-authorization", n) for n in (0, 1)] == [None, None]
        assert receiver.requests[0][0].startswith(b"POST /SECRET HTTP/1.1\r\n")
        assert receiver.connections == 1
        assert receiver.header("user-agent") == f"Tocsin/{__version__}"

    run(work())


def test_http_target_is_asked_for_in_absolute_form(run: Run) -> None:
    async def work() -> None:
        async with (
            receiving(answering(OK)) as receiver,
            proxying(NAMES, login="user:pw") as proxy,
            poster(proxy.url("user:pw@")) as sender,
        ):
            for _ in range(2):
                outcome = await sender.post(request(receiver.url("hooks.example", "/a%2fb?q=%20+|#SECRET")))
                assert outcome.kind is Kind.DELIVERED
        assert proxy.asked == [f"POST http://hooks.example:{receiver.port}/a%2fb?q=%20+| HTTP/1.1"]
        assert receiver.requests[0][0].startswith(b"POST /a%2fb?q=%20+| HTTP/1.1\r\n")
        assert receiver.header("host") == f"hooks.example:{receiver.port}"
        assert receiver.header("proxy-authorization", 0) is None

    run(work())


def test_proxy_may_speak_tls_itself(run: Run, authority: Authority) -> None:
    async def work() -> None:
        server = authority.serving(authority.issue("hooks.example"))
        own = authority.serving(authority.issue("proxy.example"))
        async with (
            receiving(answering(OK), tls=server) as receiver,
            receiving(answering(OK)) as plain,
            proxying(NAMES, tls=own) as proxy,
            poster(
                proxy.url(scheme="https", host="proxy.example"),
                tls=tls_context(ca=authority.path),
                resolver=FixedNames({"proxy.example": ["127.0.0.1"]}),
            ) as sender,
        ):
            tunnelled = await sender.post(request(receiver.url("hooks.example", scheme="https")))
            asked = await sender.post(request(plain.url("hooks.example")))
        assert (tunnelled.kind, asked.kind) == (Kind.DELIVERED, Kind.DELIVERED), (tunnelled, asked)

    run(work())


async def through(
    authority: Authority, certificate: Path, client: ssl.SSLContext, host: str = "hooks.example"
) -> Outcome:
    async with (
        receiving(answering(OK), tls=authority.serving(certificate)) as receiver,
        proxying(NAMES) as proxy,
        poster(proxy.url(), tls=client) as sender,
    ):
        return await sender.post(request(receiver.url(host, "/SECRET", "https")))


def test_receivers_certificate_is_verified_through_the_tunnel(run: Run, authority: Authority) -> None:
    async def work() -> None:
        private = tls_context(ca=authority.path)
        right = authority.issue("hooks.example")
        check_failed(
            await through(authority, authority.issue("other.example"), private),
            Stage.TLS,
            "not valid for 'hooks.example'",
        )
        check_failed(
            await through(authority, authority.issue("hooks.example", expired=True), private),
            Stage.TLS,
            "TLS with hooks.example:",
        )
        check_failed(await through(authority, right, tls_context()), Stage.TLS, "issuer certificate")
        assert (await through(authority, right, private, "HOOKS.example.")).kind is Kind.DELIVERED

    run(work())


def test_a_proxy_that_opens_the_tunnel_itself_is_found_out(run: Run, authority: Authority) -> None:
    async def work() -> None:
        async def intercept(receiver: Receiver, reader: Reader, writer: Writer) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.start_tls(authority.serving(authority.issue("proxy.example")))
            await answering(OK)(receiver, reader, writer)

        async with (
            proxying(NAMES, instead=intercept) as proxy,
            poster(proxy.url(), tls=tls_context(ca=authority.path)) as sender,
        ):
            outcome = await sender.post(request("https://hooks.example/SECRET"))
            check_failed(outcome, Stage.TLS, "not valid for 'hooks.example'")
            assert proxy.at.requests == []

    run(work())


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("userinfo", ["", "user:other@", "user@"])
def test_proxy_that_wants_other_credentials_names_the_setting(run: Run, scheme: str, userinfo: str) -> None:
    async def work() -> None:
        async with proxying(NAMES, login="user:pw") as proxy, poster(proxy.url(userinfo)) as sender:
            outcome = await sender.post(request(f"{scheme}://hooks.example/SECRET"))
            check_failed(outcome, Stage.CONNECT, "wants another user name and password (HTTP 407)")
            assert f"the proxy 127.0.0.1:{proxy.at.port}" in outcome.error
            assert "sender.egress.proxy" in outcome.error

    run(work())


@pytest.mark.parametrize("status", [400, 403, 410, 429, 502, 503, 504])
def test_tunnel_that_is_refused_is_no_answer_of_the_receiver(run: Run, status: int) -> None:
    async def work() -> None:
        answer = b"HTTP/1.1 %d No\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nnono" % status
        async with proxying(NAMES, instead=writing(answer)) as proxy, poster(proxy.url()) as sender:
            outcome = await sender.post(request("https://hooks.example/SECRET"))
            check_failed(
                outcome,
                Stage.CONNECT,
                f"the proxy 127.0.0.1:{proxy.at.port} made no connection to hooks.example:443: HTTP {status}",
            )

    run(work())


def test_http_answer_of_the_proxy_counts_as_the_receivers(run: Run) -> None:
    async def work() -> None:
        async with proxying({}) as proxy, poster(proxy.url()) as sender:
            outcome = await sender.post(request("http://hooks.example/SECRET"))
            assert (outcome.kind, outcome.stage, outcome.status) == (Kind.FAILED, Stage.STATUS, 502)

    run(work())


def writing(answer: bytes) -> Behaviour:
    async def behave(receiver: Receiver, reader: Reader, writer: Writer) -> None:
        writer.write(answer)
        await writer.drain()

    return behave


async def hang(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await asyncio.Event().wait()


async def close(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    writer.close()


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (hang, "timed out after 0.3s waiting for the proxy 127.0.0.1:{port} to connect"),
        (close, "the proxy 127.0.0.1:{port} closed the connection without an answer"),
        (writing(b"SSH-2.0-OpenSSH_9.6\r\n"), "the answer of the proxy 127.0.0.1:{port} is not valid HTTP"),
        (writing(b"HTTP/1.1 200 OK\r\n\r\nnot TLS" + b"\0" * 50), "TLS with hooks.example:443 failed"),
    ],
)
def test_proxy_that_makes_no_tunnel(run: Run, behaviour: Behaviour, words: str) -> None:
    async def work() -> None:
        async with (
            proxying(NAMES, instead=behaviour) as proxy,
            poster(proxy.url(), connect_timeout=0.3 if behaviour is hang else 5.0) as sender,
        ):
            outcome = await sender.post(request("https://hooks.example/SECRET"))
            stage = Stage.TLS if "TLS" in words else Stage.CONNECT
            check_failed(outcome, stage, words.format(port=proxy.at.port))

    run(work())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_is_down_is_named(run: Run, scheme: str) -> None:
    async def work() -> None:
        async with proxying(NAMES) as proxy:
            gone = proxy.url("user:pass%2Fword@")
        async with poster(gone) as sender:
            outcome = await sender.post(request(f"{scheme}://hooks.example/SECRET"))
        place = f"127.0.0.1:{proxy.at.port}"
        check_failed(outcome, Stage.CONNECT, f"could not connect to the proxy {place}: connection refused")

    run(work())


def test_proxy_whose_name_is_unknown_or_never_found_is_named(run: Run) -> None:
    async def work() -> None:
        async with poster("http://proxy.example:3128") as sender:
            outcome = await sender.post(request("https://hooks.example/SECRET"))
        check_failed(outcome, Stage.RESOLVE, "could not resolve the proxy proxy.example")
        silent = FixedNames({"proxy.example": None})
        async with poster("http://proxy.example:3128", resolver=silent, connect_timeout=0.2) as sender:
            outcome = await sender.post(request("https://hooks.example/SECRET"))
        check_failed(
            outcome, Stage.RESOLVE, "timed out after 0.2s resolving the name of the proxy proxy.example"
        )

    run(work())


def test_proxys_own_certificate_is_verified(run: Run, authority: Authority) -> None:
    async def work() -> None:
        own = authority.serving(authority.issue("other.example"))
        async with (
            proxying(NAMES, tls=own) as proxy,
            poster(
                proxy.url(scheme="https", host="proxy.example"),
                tls=tls_context(ca=authority.path),
                resolver=FixedNames({"proxy.example": ["127.0.0.1"]}),
            ) as sender,
        ):
            outcome = await sender.post(request("https://hooks.example/SECRET"))
            check_failed(outcome, Stage.TLS, f"TLS with the proxy proxy.example:{proxy.at.port} failed")
            assert proxy.asked == []

    run(work())


def test_proxys_handshake_that_hangs_times_out_as_such(run: Run) -> None:
    async def work() -> None:
        async with receiving(hang) as silent:
            url = silent.url(path="", scheme="https")
            async with poster(url, connect_timeout=0.3) as sender:
                outcome = await sender.post(request("https://hooks.example/SECRET"))
        check_failed(outcome, Stage.TLS, "in the TLS handshake with the proxy 127.0.0.1:")

    run(work())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://10.0.0.1/SECRET", "10.0.0.1 is a private address"),
        ("https://127.0.0.1/SECRET", "127.0.0.1 is a loopback address"),
        ("https://[::ffff:10.0.0.1]/SECRET", "10.0.0.1, a private address"),
        ("https://[64:ff9b::7f00:1]/SECRET", "127.0.0.1, a loopback address"),
        ("http://2130706433/SECRET", "spells 127.0.0.1"),
        ("http://0x7f.1/SECRET", "spells 127.0.0.1"),
        ("http://localhost/SECRET", "localhost resolves to 127.0.0.1"),
        ("http://a.localhost./SECRET", "a.localhost resolves to 127.0.0.1"),
        ("http://metadata.google.internal/SECRET", "which is a cloud metadata address"),
        ("https://user:pw@hooks.example/SECRET", "user name or password"),
        ("https://hooks.example:8443/SECRET", "port 8443 may not be called"),
    ],
)
def test_target_that_may_not_be_called_is_not_shown_to_the_proxy(run: Run, url: str, words: str) -> None:
    async def work() -> None:
        policy = EgressPolicy(allow_ports=[80, 443])
        async with proxying(NAMES) as proxy, poster(proxy.url(), policy=policy) as sender:
            outcome = await sender.post(request(url))
            assert (outcome.kind, outcome.reason) == (Kind.DEAD, Reason.BLOCKED)
            assert words in outcome.error
            assert "SECRET" not in outcome.error
            assert proxy.at.connections == 0

    run(work())


def test_listed_literal_goes_through_the_proxy(run: Run) -> None:
    async def work() -> None:
        async with (
            receiving(answering(OK)) as receiver,
            proxying({"127.0.0.1": "127.0.0.1"}) as proxy,
            poster(proxy.url(), policy=EgressPolicy(allow_cidrs=["127.0.0.1"])) as sender,
        ):
            assert (await sender.post(request(receiver.url()))).kind is Kind.DELIVERED
            assert proxy.at.connections == receiver.connections == 1

    run(work())


def test_proxy_of_the_environment_counts_neither_beside_nor_instead(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with (
            receiving(answering(OK)) as receiver,
            proxying(NAMES) as other,
            proxying(NAMES) as proxy,
            poster(proxy.url()) as sender,
        ):
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
                monkeypatch.setenv(name, other.url())
            monkeypatch.setenv("no_proxy", "*")
            assert (await sender.post(request(receiver.url("hooks.example")))).kind is Kind.DELIVERED
            assert (proxy.at.connections, other.at.connections) == (1, 0)

    run(work())


def test_many_at_once_share_neither_tunnels_nor_certificates(run: Run, authority: Authority) -> None:
    async def work() -> None:
        tls = tls_context(ca=authority.path)
        async with (
            receiving(answering(OK), tls=authority.serving(authority.issue("hooks.example"))) as right,
            receiving(answering(OK), tls=authority.serving(authority.issue("third.example"))) as wrong,
            proxying(NAMES) as proxy,
            poster(proxy.url(), tls=tls) as sender,
        ):
            urls = [
                right.url("hooks.example", scheme="https"),
                wrong.url("other.example", scheme="https"),
            ] * 20
            outcomes = await asyncio.gather(*(sender.post(request(url)) for url in urls))
            assert [outcome.kind for outcome in outcomes] == [Kind.DELIVERED, Kind.FAILED] * 20
            assert len(wrong.requests) == 0

    run(work())


def test_cancelled_attempt_closes_its_connection_to_the_proxy(run: Run) -> None:
    async def work() -> None:
        came, closed = asyncio.Event(), asyncio.Event()

        async def watch(receiver: Receiver, reader: Reader, writer: Writer) -> None:
            came.set()
            await reader.read()
            closed.set()

        async with proxying(NAMES, instead=watch) as proxy, poster(proxy.url()) as sender:
            task = asyncio.create_task(sender.post(request("https://hooks.example/x")))
            async with asyncio.timeout(5):
                await came.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await closed.wait()

    run(work())


@pytest.mark.parametrize(
    ("text", "url", "login", "place"),
    [
        ("http://proxy:3128", "http://proxy:3128", None, "proxy:3128"),
        ("https://proxy", "https://proxy", None, "proxy:443"),
        ("http://u@[::1]:8080/", "http://[::1]:8080/", "u:", "[::1]:8080"),
        ("http://%C3%BC:p%40%3Aw@proxy:1", "http://proxy:1", "ü:p@:w", "proxy:1"),
    ],
)
def test_proxy_is_read_from_its_url(text: str, url: str, login: str | None, place: str) -> None:
    proxy = Proxy.read(text)
    assert (str(proxy.url), proxy.place) == (url, place)
    sent = proxy.headers.get("Proxy-Authorization")
    assert (sent and base64.b64decode(sent.removeprefix("Basic ")).decode()) == login
    assert sent is None or sent not in repr(proxy)

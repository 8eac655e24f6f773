"""One attempt against receivers that misbehave in every way, over real sockets on 127.0.0.1."""

import asyncio
import base64
import gzip
import socket
import ssl
import struct
import zlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from standardwebhooks.webhooks import Webhook

from processor import __version__
from processor.delivery.http import MAX_BODY, Poster, WebhookRequest
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.delivery.tls import TlsError, tls_context
from processor.egress import EgressPolicy
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
LOCAL = EgressPolicy(allow_cidrs=["127.0.0.1/32"])
BODY = b'{"type":"event_trigger"}'
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test's coroutine; the sender uses uvloop, and both have to behave the same."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def on_loop(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work)

    return on_loop


def poster(policy: EgressPolicy = LOCAL, **options: Any) -> Poster:
    options.setdefault("timeout", 5.0)
    return Poster(policy, options.pop("tls", None) or tls_context(), **options)


def request(url: str, **fields: Any) -> WebhookRequest:
    return WebhookRequest(url=url, webhook_id="msg_x", attempt=fields.pop("attempt", 1), body=BODY, **fields)


async def outcome_of(behaviour: Behaviour, **options: Any) -> tuple[Outcome, Receiver]:
    async with receiving(behaviour) as receiver, poster(**options) as open_poster:
        return await open_poster.post(request(receiver.url(path="/hook/SECRET"))), receiver


def check_failed(outcome: Outcome, stage: Stage, words: str) -> None:
    assert (outcome.kind, outcome.reason, outcome.stage) == (Kind.FAILED, None, stage), outcome
    assert words in outcome.error
    assert "SECRET" not in outcome.error


def test_request_is_exactly_the_contract(run: Run) -> None:
    async def work() -> None:
        async with receiving(answering(OK)) as receiver, poster(clock_ms=lambda: 1_795_428_000_999) as sender:
            outcome = await sender.post(
                request(
                    receiver.url(path="/a%2fb?q=%20+"),
                    attempt=3,
                    keys=(b"new", b"old"),
                    headers={"Authorization": "Bearer t", "X-Team": "shop"},
                    traceparent=TRACE,
                )
            )
        head, body = receiver.requests[0]
        signature = receiver.header("webhook-signature")
        assert head.decode().split("\r\n") == [
            "POST /a%2fb?q=%20+ HTTP/1.1",
            f"Host: 127.0.0.1:{receiver.port}",
            "Authorization: Bearer t",
            "X-Team: shop",
            "Content-Type: application/json",
            f"User-Agent: Tocsin/{__version__}",
            "webhook-id: msg_x",
            "webhook-timestamp: 1795428000",
            "webhook-attempt: 3",
            f"webhook-signature: {signature}",
            f"traceparent: {TRACE}",
            f"Content-Length: {len(BODY)}",
            "",
            "",
        ]
        assert body == BODY
        assert (outcome.kind, outcome.status, outcome.snippet) == (Kind.DELIVERED, 200, "ok")
        assert (outcome.started_at_ms, outcome.stage, outcome.error) == (1_795_428_000_999, None, "")

    run(work())


def test_signature_is_accepted_by_an_independent_verifier(run: Run) -> None:
    async def work() -> None:
        async with receiving(answering(OK)) as receiver, poster() as sender:
            await sender.post(request(receiver.url(), keys=(b"key",)))
            await sender.post(request(receiver.url()))
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        headers = {name: receiver.header(name, 0) or "" for name in names}
        Webhook(base64.b64encode(b"key").decode()).verify(receiver.requests[0][1].decode(), headers)
        assert receiver.header("webhook-signature", 1) is None
        assert receiver.header("traceparent", 1) is None

    run(work())


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_delivered(run: Run, status: int) -> None:
    async def work() -> None:
        outcome, _ = await outcome_of(answering(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status))
        assert (outcome.kind, outcome.status) == (Kind.DELIVERED, status)

    run(work())


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 410, 429, 500, 503, 599])
def test_every_other_status_is_a_failed_attempt(run: Run, status: int) -> None:
    async def work() -> None:
        answer = b"HTTP/1.1 %d X\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\nno\x00!" % status
        if status == 304:
            answer = b"HTTP/1.1 304 X\r\nRetry-After: 7\r\n\r\n"
        outcome, _ = await outcome_of(answering(answer))
        check_failed(outcome, Stage.STATUS, f"HTTP {status}")
        assert (outcome.status, outcome.retry_after) == (status, "7")
        assert outcome.snippet == ("" if status == 304 else "no !")

    run(work())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(run: Run, status: int) -> None:
    async def work() -> None:
        async with receiving(answering(OK)) as other:
            answer = b"HTTP/1.1 %d X\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (
                status,
                other.url().encode(),
            )
            outcome, _ = await outcome_of(answering(answer))
            check_failed(outcome, Stage.STATUS, "redirects are not followed")
            assert other.connections == 0

    run(work())


async def hang(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await asyncio.Event().wait()


async def hang_after_request(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    await asyncio.Event().wait()


async def hang_in_headers(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await asyncio.Event().wait()


async def drip_headers(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def continue_for_ever(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "behaviour", [hang, hang_after_request, hang_in_headers, drip_headers, continue_for_ever]
)
def test_receiver_that_never_answers_times_out(run: Run, behaviour: Behaviour) -> None:
    async def work() -> None:
        outcome, _ = await outcome_of(behaviour, timeout=1.0)
        check_failed(outcome, Stage.READ, "timed out after 1s waiting for the answer")
        assert 950 <= outcome.duration_ms < 10_000

    run(work())


def test_rules_own_timeout_counts(run: Run) -> None:
    async def work() -> None:
        async with receiving(hang) as receiver, poster(timeout=60.0) as sender:
            outcome = await sender.post(request(receiver.url(), timeout=0.2))
        check_failed(outcome, Stage.READ, "timed out after 0.2s")

    run(work())


async def reset(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def close_without_answer(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    writer.close()


async def close_in_headers(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()
    writer.close()


async def reset_at_once(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await reader.read(1)


@pytest.mark.parametrize("behaviour", [reset, close_without_answer, close_in_headers, reset_at_once])
def test_connection_that_breaks_before_the_answer_is_a_failed_attempt(run: Run, behaviour: Behaviour) -> None:
    async def work() -> None:
        outcome, _ = await outcome_of(behaviour)
        assert (outcome.kind, outcome.reason) == (Kind.FAILED, None)
        assert outcome.stage in {Stage.READ, Stage.WRITE}
        assert outcome.error
        assert "SECRET" not in outcome.error

    run(work())


@pytest.mark.parametrize(
    "answer",
    [
        b"\x16\x03\x01garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    ],
)
def test_answer_that_is_not_http_is_a_failed_attempt(run: Run, answer: bytes) -> None:
    async def work() -> None:
        outcome, _ = await outcome_of(answering(answer), timeout=2.0)
        check_failed(outcome, Stage.READ, "not valid HTTP")

    run(work())


def test_refused_connection_is_a_failed_attempt(run: Run) -> None:
    async def work() -> None:
        async with receiving(hang) as receiver:
            url = receiver.url(path="/SECRET")
        async with poster() as sender:
            outcome = await sender.post(request(url))
        check_failed(outcome, Stage.CONNECT, "connection refused")

    run(work())


def after_headers(head: bytes, then: Callable[[Writer], Coroutine[Any, Any, None]]) -> Behaviour:
    async def behave(receiver: Receiver, reader: Reader, writer: Writer) -> None:
        await receiver.read_request(reader)
        writer.write(head)
        await writer.drain()
        await then(writer)

    return behave


async def silence(writer: Writer) -> None:
    await asyncio.Event().wait()


async def drip(writer: Writer) -> None:
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.05)


async def break_off(writer: Writer) -> None:
    writer.write(b"par")
    await writer.drain()


@pytest.mark.parametrize("then", [silence, drip, break_off])
@pytest.mark.parametrize("timeout", [0.3, 5.0])
def test_2xx_whose_body_then_hangs_is_delivered_and_its_connection_closed(
    run: Run, then: Callable[[Writer], Coroutine[Any, Any, None]], timeout: float
) -> None:
    async def work() -> None:
        behaviour = after_headers(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", then)
        async with receiving(behaviour) as receiver, poster(timeout=timeout) as sender:
            for count in (1, 2):
                async with asyncio.timeout(3):
                    outcome = await sender.post(request(receiver.url()))
                assert (outcome.kind, outcome.status) == (Kind.DELIVERED, 200)
                assert outcome.duration_ms < 250
                assert receiver.connections == count

    run(work())


def test_failed_answer_whose_body_hangs_keeps_its_status(run: Run) -> None:
    async def work() -> None:
        outcome, _ = await outcome_of(
            after_headers(b"HTTP/1.1 503 X\r\nRetry-After: 9\r\nContent-Length: 50\r\n\r\nbusy", silence)
        )
        check_failed(outcome, Stage.STATUS, "HTTP 503")
        assert (outcome.retry_after, outcome.snippet) == ("9", "busy")

    run(work())


def test_huge_body_is_dropped_after_its_start(run: Run) -> None:
    sent = 0

    async def flood(writer: Writer) -> None:
        nonlocal sent
        while sent < 64 * 2**20:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async def work() -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * 2**20)
        outcome, _ = await outcome_of(after_headers(head, flood))
        assert outcome.kind is Kind.DELIVERED
        assert outcome.snippet == "x" * 1024
        assert sent < 16 * 2**20  # what socket buffers hold, not the whole

    run(work())


def zstd_of_zeros(size: int) -> bytes:
    """A Zstandard frame of RLE blocks (RFC 8878, 3.1.1): four bytes for each 128 KiB."""
    blocks = size // 131_072
    block = ((131_072 << 3 | 1 << 1).to_bytes(3, "little") + b"\0") * (blocks - 1)
    last = (131_072 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x58" + block + last


BOMB_SIZE = 50 * 2**20
BOMBS = {
    "gzip": gzip.compress(b"\0" * BOMB_SIZE),
    "x-gzip": gzip.compress(b"\0" * BOMB_SIZE),
    "deflate": zlib.compress(b"\0" * BOMB_SIZE, 9),
    "zstd": zstd_of_zeros(BOMB_SIZE),
    "br": b"\x5b\xff\xff\x3f" + b"\0" * 400,
    "gzip, gzip": gzip.compress(gzip.compress(b"\0" * BOMB_SIZE)),
    "GZIP": gzip.compress(b"\0" * BOMB_SIZE),
}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("encoding", BOMBS)
def test_compressed_bomb_stays_compressed(run: Run, encoding: str, status: int, framing: str) -> None:
    async def work() -> None:
        bomb = BOMBS[encoding]
        assert len(bomb) < MAX_BODY
        head = b"HTTP/1.1 %d X\r\nContent-Encoding: %b\r\n" % (status, encoding.encode())
        if framing == "length":
            answer = head + b"Content-Length: %d\r\n\r\n%b" % (len(bomb), bomb)
        else:
            answer = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(bomb), bomb)
        async with receiving(answering(answer)) as receiver, poster() as sender:
            for _ in range(2):
                outcome = await sender.post(request(receiver.url()))
                assert (outcome.status, outcome.snippet) == (status, "")
            # Inflated it would be too long, or not to be read, and the connection closed for it.
            assert receiver.connections == 1
            assert receiver.header("accept-encoding") is None

    run(work())


def test_connection_is_kept_and_cookies_are_not(run: Run) -> None:
    async def work() -> None:
        answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
        async with receiving(answering(answer)) as receiver, poster() as sender:
            for _ in range(3):
                assert (await sender.post(request(receiver.url()))).kind is Kind.DELIVERED
            assert receiver.connections == 1
            assert [receiver.header("cookie", number) for number in range(3)] == [None] * 3

    run(work())


def test_answer_nobody_asked_for_is_not_taken_for_the_next_one(run: Run) -> None:
    async def work() -> None:
        more = asyncio.Event()
        answered = asyncio.Event()

        async def talk_on(receiver: Receiver, reader: Reader, writer: Writer) -> None:
            await receiver.read_request(reader)
            writer.write(OK)
            if receiver.connections == 1:
                await more.wait()
                writer.write(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                answered.set()
            await reader.read()

        async with receiving(talk_on) as receiver, receiving(answering(OK)) as other, poster() as sender:
            assert (await sender.post(request(receiver.url()))).kind is Kind.DELIVERED
            more.set()
            await answered.wait()
            # What was written before this request has been read when its answer is.
            assert (await sender.post(request(other.url()))).kind is Kind.DELIVERED
            assert (await sender.post(request(receiver.url()))).status == 200
            assert receiver.connections == 2

    run(work())


def test_early_answer_to_a_body_that_is_not_read_counts(run: Run) -> None:
    async def refuse(receiver: Receiver, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
        await asyncio.Event().wait()

    async def work() -> None:
        async with receiving(refuse) as receiver, poster() as sender:
            outcome = await sender.post(WebhookRequest(receiver.url(), "msg_x", 1, b"x" * 32 * 2**20))
        check_failed(outcome, Stage.STATUS, "HTTP 413")

    run(work())


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-C: d"}, {"X-A": "é"}, {"X:A": "b"}, {"Host": "other"}])
def test_header_that_cannot_be_written_is_not_sent(run: Run, headers: dict[str, str]) -> None:
    async def work() -> None:
        async with receiving(answering(OK)) as receiver, poster() as sender:
            outcome = await sender.post(request(receiver.url(), headers=headers))
            check_failed(outcome, Stage.RENDER, "can't be written")
            assert receiver.connections == 0

    run(work())


def test_large_body_arrives_whole(run: Run) -> None:
    async def work() -> None:
        body = bytes(range(256)) * 8_192  # 2 MiB
        async with receiving(answering(OK)) as receiver, poster() as sender:
            outcome = await sender.post(WebhookRequest(receiver.url(), "msg_x", 1, body))
        assert outcome.kind is Kind.DELIVERED
        assert receiver.requests[0][1] == body

    run(work())


def test_receiver_that_does_not_read_fails_in_writing(run: Run) -> None:
    async def work() -> None:
        async with receiving(hang) as receiver, poster(timeout=0.5) as sender:
            outcome = await sender.post(WebhookRequest(receiver.url(), "msg_x", 1, b"x" * 32 * 2**20))
        check_failed(outcome, Stage.WRITE, "sending the request")

    run(work())


def test_cancelled_attempt_closes_its_connection(run: Run) -> None:
    async def work() -> None:
        came, closed = asyncio.Event(), asyncio.Event()

        async def watch(receiver: Receiver, reader: Reader, writer: Writer) -> None:
            await receiver.read_request(reader)
            came.set()
            await reader.read()
            closed.set()

        async with receiving(watch) as receiver, poster() as sender:
            task = asyncio.create_task(sender.post(request(receiver.url())))
            async with asyncio.timeout(5):
                await came.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await closed.wait()

    run(work())


# Names


def test_unknown_name_fails_in_resolving(run: Run) -> None:
    async def work() -> None:
        async with poster(resolver=FixedNames({})) as sender:
            outcome = await sender.post(request("http://nowhere.example/SECRET"))
        check_failed(outcome, Stage.RESOLVE, "could not resolve nowhere.example")

    run(work())


def test_silent_name_service_times_out(run: Run) -> None:
    async def work() -> None:
        async with poster(resolver=FixedNames({"slow.example": None}), connect_timeout=0.2) as sender:
            outcome = await sender.post(request("http://slow.example/SECRET"))
        check_failed(outcome, Stage.RESOLVE, "timed out after 0.2s resolving the name")

    run(work())


def test_machines_own_names_are_resolved(run: Run) -> None:
    async def work() -> None:
        async with receiving(answering(OK)) as receiver, poster() as sender:
            outcome = await sender.post(request(receiver.url("localhost")))
        assert outcome.kind is Kind.DELIVERED

    run(work())


# The guard


def check_blocked(outcome: Outcome, words: str) -> None:
    assert (outcome.kind, outcome.reason) == (Kind.DEAD, Reason.BLOCKED), outcome
    assert words in outcome.error
    assert "SECRET" not in outcome.error


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1", "127.0.0.1 is a loopback address"),
        ("localhost", "localhost resolves to 127.0.0.1, which is a loopback address"),
        ("[::1]", "::1 is a loopback address"),
        ("[::ffff:127.0.0.1]", "127.0.0.1, a loopback address"),
        ("2130706433", "spells 127.0.0.1"),
        ("0x7f000001", "spells 127.0.0.1"),
        ("0177.0.0.1", "spells 127.0.0.1"),
        ("127.1", "spells 127.0.0.1"),
        ("0", "spells 0.0.0.0"),
        ("hooks.example", "hooks.example resolves to 127.0.0.1, which is a loopback address"),
        ("user:pw@hooks.example", "user name or password"),
    ],
)
def test_nobody_is_called_who_is_not_listed(run: Run, host: str, words: str) -> None:
    async def work() -> None:
        names = FixedNames({"hooks.example": ["127.0.0.1"], "localhost": ["127.0.0.1"]})
        async with receiving(answering(OK)) as receiver, poster(EgressPolicy(), resolver=names) as sender:
            outcome = await sender.post(request(receiver.url(host, "/SECRET")))
            check_blocked(outcome, words)
            assert receiver.connections == 0

    run(work())


@pytest.mark.parametrize("spelling", ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::1", "fe80::1%lo"])
def test_guard_looks_at_the_socket_whatever_the_name_service_says(run: Run, spelling: str) -> None:
    async def work() -> None:
        names = FixedNames({"hooks.example": [spelling]})
        async with receiving(answering(OK)) as receiver, poster(EgressPolicy(), resolver=names) as sender:
            outcome = await sender.post(request(receiver.url("hooks.example")))
            check_blocked(outcome, "would allow it")
            assert outcome.stage is Stage.CONNECT
            assert receiver.connections == 0

    run(work())


def test_numeric_spelling_that_a_resolver_accepts_is_still_judged_by_its_socket(run: Run) -> None:
    async def work() -> None:
        # The early check is one net, the socket the other: here only the second is left.
        async with receiving(answering(OK)) as receiver, poster(EgressPolicy()) as sender:
            sender._policy.check_target = lambda target: None  # type: ignore[method-assign]
            for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
                check_blocked(await sender.post(request(receiver.url(host))), "loopback")
            assert receiver.connections == 0

    run(work())


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.2", "127.0.0.1"],
        ["127.0.0.1", "127.0.0.2"],
        ["::1", "127.0.0.2", "10.0.0.1", "127.0.0.1"],
        ["169.254.169.254", "::ffff:127.0.0.2", "127.0.0.1"],
    ],
)
def test_of_several_addresses_only_the_allowed_are_tried(run: Run, addresses: list[str]) -> None:
    async def work() -> None:
        names = FixedNames({"mixed.example": addresses})
        async with (
            receiving(answering(OK)) as allowed,
            receiving(answering(OK), host="127.0.0.2", port=allowed.port) as denied,
            poster(resolver=names) as sender,
        ):
            outcome = await sender.post(request(allowed.url("mixed.example")))
            assert outcome.kind is Kind.DELIVERED
            assert (allowed.connections, denied.connections) == (1, 0)

    run(work())


def test_allowed_address_that_fails_is_tried_again_later_although_others_were_refused(run: Run) -> None:
    async def work() -> None:
        async with receiving(hang) as receiver:
            url = receiver.url("mixed.example")
        names = FixedNames({"mixed.example": ["10.0.0.1", "127.0.0.1"]})
        async with poster(resolver=names) as sender:
            outcome = await sender.post(request(url))
        assert (outcome.kind, outcome.stage) == (Kind.FAILED, Stage.CONNECT)

    run(work())


def test_all_addresses_refused_is_blocked(run: Run) -> None:
    async def work() -> None:
        names = FixedNames({"inside.example": ["10.0.0.1", "192.168.0.1", "fd00::1"]})
        async with poster(resolver=names) as sender:
            check_blocked(await sender.post(request("http://inside.example/SECRET")), "is a private address")

    run(work())


def test_allow_hosts_follows_the_request_through_concurrent_connects(run: Run) -> None:
    async def work() -> None:
        names = FixedNames(
            {"good.example": ["::1", "127.0.0.3", "127.0.0.1"], "bad.example": ["127.0.0.3", "127.0.0.1"]}
        )
        policy = EgressPolicy(allow_hosts=["good.*"])
        async with (
            receiving(answering(OK, times=1)) as receiver,
            poster(policy, resolver=names) as sender,
        ):
            urls = [receiver.url(host) for host in ("good.example", "bad.example") * 25]
            outcomes = await asyncio.gather(*(sender.post(request(url)) for url in urls))
        assert [outcome.kind for outcome in outcomes] == [Kind.DELIVERED, Kind.DEAD] * 25
        assert receiver.connections == 25

    run(work())


def test_port_that_is_not_listed_is_blocked(run: Run) -> None:
    async def work() -> None:
        policy = EgressPolicy(allow_cidrs=["127.0.0.1"], allow_ports=[443])
        async with receiving(answering(OK)) as receiver, poster(policy) as sender:
            check_blocked(await sender.post(request(receiver.url())), "sender.egress.allow_ports")
            assert receiver.connections == 0

    run(work())


def test_proxy_of_the_environment_is_not_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with receiving(answering(OK)) as proxy, receiving(answering(OK)) as receiver:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url())
            async with poster() as sender:
                assert (await sender.post(request(receiver.url()))).kind is Kind.DELIVERED
            assert (proxy.connections, receiver.connections) == (0, 1)

    run(work())


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("ca"))


HOOKS = FixedNames({"hooks.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})


async def over_tls(
    server: ssl.SSLContext | None, client: ssl.SSLContext, behaviour: Behaviour | None = None, **options: Any
) -> Outcome:
    async with (
        receiving(behaviour or answering(OK), tls=server) as receiver,
        poster(tls=client, resolver=HOOKS, **options) as sender,
    ):
        return await sender.post(request(receiver.url("hooks.example", "/SECRET", "https")))


def test_certificate_of_the_private_authority_is_trusted_by_setting(run: Run, authority: Authority) -> None:
    async def work() -> None:
        server = authority.serving(authority.issue("hooks.example"))
        assert (await over_tls(server, tls_context(ca=authority.path))).kind is Kind.DELIVERED
        check_failed(
            await over_tls(server, tls_context()), Stage.TLS, "unable to get local issuer certificate"
        )

    run(work())


def test_certificate_of_another_name_is_refused(run: Run, authority: Authority) -> None:
    async def work() -> None:
        server = authority.serving(authority.issue("other.example"))
        outcome = await over_tls(server, tls_context(ca=authority.path))
        check_failed(outcome, Stage.TLS, "not valid for 'hooks.example'")

    run(work())


def test_expired_certificate_is_refused(run: Run, authority: Authority) -> None:
    async def work() -> None:
        server = authority.serving(authority.issue("hooks.example", expired=True))
        outcome = await over_tls(server, tls_context(ca=authority.path))
        check_failed(outcome, Stage.TLS, "expired")

    run(work())


def test_client_certificate_is_shown_where_it_is_set(run: Run, authority: Authority) -> None:
    async def work() -> None:
        server = authority.serving(authority.issue("hooks.example"), wants_client=True)
        client = authority.issue("tocsin.example")
        with_it = tls_context(ca=authority.path, certificate=client)
        assert (await over_tls(server, with_it)).kind is Kind.DELIVERED
        # In TLS 1.3 the server says no only after the handshake, while the request is on its way.
        outcome = await over_tls(server, tls_context(ca=authority.path))
        assert outcome.kind is Kind.FAILED
        assert outcome.stage in {Stage.TLS, Stage.WRITE, Stage.READ}

    run(work())


def test_plain_http_behind_https_fails_in_the_handshake(run: Run, authority: Authority) -> None:
    async def plain(receiver: Receiver, reader: Reader, writer: Writer) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def work() -> None:
        outcome = await over_tls(None, tls_context(), plain)
        assert (outcome.kind, outcome.stage) == (Kind.FAILED, Stage.TLS)

    run(work())


def test_handshake_that_hangs_times_out_as_such(run: Run) -> None:
    async def work() -> None:
        outcome = await over_tls(None, tls_context(), hang, connect_timeout=0.3)
        check_failed(outcome, Stage.TLS, "timed out after 0.3s in the TLS handshake")

    run(work())


def test_unusable_certificate_file_names_its_setting(tmp_path: Path, authority: Authority) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    with pytest.raises(TlsError, match=r"sender\.tls\.ca"):
        tls_context(ca=empty)
    with pytest.raises(TlsError, match=r"sender\.tls\.ca"):
        tls_context(ca=tmp_path / "missing.pem")
    with pytest.raises(TlsError, match=r"sender\.tls\.certificate"):
        tls_context(certificate=empty)
    with pytest.raises(TlsError, match=r"sender\.tls\.key"):
        tls_context(certificate=authority.issue("a.example"), key=authority.issue("b.example"))

"""The demo's receiver: what it checks, what it counts."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import aiohttp
import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook

from processor.demo.receiver import Receiver, Webhook, verify

NOW = 1_700_000_000
BODY = json.dumps(
    {
        "type": "event_trigger",
        "trigger_id": 7,
        "trigger_name": "r",
        "event": {"severity": "error", "source": "ci", "message": "failed", "more": [1]},
        "timestamp": "2026-11-23T10:00:00Z",
    }
).encode()


def signed(key: bytes, webhook_id: str = "msg_1", at: int = NOW) -> dict[str, str]:
    """Headers by an independent implementation of the signature."""
    signature = StandardWebhook(key).sign(webhook_id, datetime.fromtimestamp(at, UTC), BODY.decode())
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(at),
        "webhook-attempt": "1",
        "webhook-signature": signature,
    }


def without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


@pytest.mark.parametrize(
    ("key", "headers", "verdict"),
    [
        (b"key", signed(b"key"), "signed"),
        (
            b"key",
            signed(b"key") | {"webhook-signature": f"v1,AAAA {signed(b'key')['webhook-signature']}"},
            "signed",
        ),
        (b"key", signed(b"other"), "forged"),
        (b"key", signed(b"key", at=NOW - 301), "forged"),
        (b"key", signed(b"key") | {"webhook-id": "msg_2"}, "forged"),
        (b"key", without(signed(b"key"), "webhook-signature"), "forged"),
        (b"key", without(signed(b"key"), "webhook-timestamp"), "forged"),
        (None, signed(b"key"), "unchecked"),
        (None, without(signed(b"key"), "webhook-signature"), "unsigned"),
    ],
)
def test_a_signature_is_checked_as_the_specification_says(
    key: bytes | None, headers: dict[str, str], verdict: str
) -> None:
    assert verify(key, headers, BODY, NOW) == verdict


Post = Callable[[bytes, Mapping[str, str]], Awaitable[int]]


def with_receiver(work: Callable[[Receiver, Post], Awaitable[None]]) -> list[Webhook]:
    """Run `work` against a listening receiver whose events were sent 2 s ago; what it has shown."""
    shown: list[Webhook] = []

    async def run() -> None:
        receiver = Receiver(shown.append, {"trace-1": 8.0}.get, clock=lambda: 10.0)
        origin = await receiver.start()
        assert origin == receiver.origin
        try:
            async with aiohttp.ClientSession() as session:

                async def post(body: bytes, headers: Mapping[str, str]) -> int:
                    async with session.post(f"{origin}/any/path", data=body, headers=headers) as response:
                        return response.status

                await work(receiver, post)
        finally:
            await receiver.close()

    asyncio.run(run())
    return shown


def test_a_webhook_is_timed_and_a_repeat_counts_once() -> None:
    async def work(receiver: Receiver, post: Post) -> None:
        headers = {"webhook-id": "msg_1", "webhook-attempt": "1", "traceparent": "trace-1"}
        assert await post(BODY, headers) == 204
        assert await post(BODY, headers | {"webhook-attempt": "2"}) == 204
        assert receiver.delivered == {"msg_1"}
        assert receiver.seconds == [2.0]
        assert receiver.repeats == 1

    first, second = with_receiver(work)
    assert first == Webhook("msg_1", 1, "r", "error", "ci", "failed", "unsigned", False, 2.0)
    assert (second.attempt, second.repeat) == (2, True)


def test_fields_that_are_no_strings_are_shown_as_json() -> None:
    event = {"severity": 50, "source": None, "message": ["é", {"a": True}]}
    body = json.dumps({"trigger_name": "r", "event": event}).encode()

    async def work(_: Receiver, post: Post) -> None:
        assert await post(body, {"webhook-id": "msg_1", "webhook-attempt": "1"}) == 204

    (shown,) = with_receiver(work)
    assert (shown.severity, shown.source, shown.message) == ("50", "", '["é", {"a": true}]')


def test_a_forged_webhook_is_refused_and_not_delivered() -> None:
    async def work(receiver: Receiver, post: Post) -> None:
        receiver.keys = {"r": b"key"}
        assert await post(BODY, signed(b"other")) == 401
        assert receiver.forged == 1
        assert receiver.delivered == set()

    (shown,) = with_receiver(work)
    assert shown.signature == "forged"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"event":{}}', b'{"trigger_name":"r","event":3}', BODY])
def test_what_is_no_webhook_is_refused(body: bytes) -> None:
    async def work(receiver: Receiver, post: Post) -> None:
        assert await post(body, {}) == 400
        assert receiver.delivered == set()

    assert with_receiver(work) == []


def test_a_screen_that_is_gone_is_noticed() -> None:
    def gone(_: Webhook) -> None:
        raise BrokenPipeError

    async def run() -> None:
        receiver = Receiver(gone, lambda _: None)
        receiver.check()
        origin = await receiver.start()
        headers = {"webhook-id": "msg_1", "webhook-attempt": "1"}
        async with aiohttp.ClientSession() as session, session.post(origin, data=BODY, headers=headers):
            pass
        await receiver.close()
        with pytest.raises(BrokenPipeError):
            receiver.check()

    asyncio.run(run())

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from processor.delivery.signing import sign

BODY = '{"type":"event_trigger","trigger_name":"ä"}'.encode()


def headers(keys: list[bytes], body: bytes = BODY) -> dict[str, str]:
    now = int(datetime.now(UTC).timestamp())
    return {
        "webhook-id": "msg_x",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(keys, "msg_x", now, body),
    }


def test_signature_of_the_specifications_example() -> None:
    # Standard Webhooks 1.0.0, the example of its libraries' tests
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=1, max_size=64))
def test_independent_verifier_accepts(key: bytes) -> None:
    assert Webhook(base64.b64encode(key).decode()).verify(BODY, headers([key])) is not None


def test_each_secret_of_a_rotation_verifies() -> None:
    signed = headers([b"new", b"old"])
    for key in (b"new", b"old"):
        Webhook(base64.b64encode(key).decode()).verify(BODY, signed)


def test_another_body_or_key_is_rejected() -> None:
    signed = headers([b"key"])
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"key").decode()).verify(BODY + b" ", signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"other").decode()).verify(BODY, signed)

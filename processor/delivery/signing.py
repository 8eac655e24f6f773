"""Standard Webhooks signatures (specification 1.0.0, "Signature scheme").

The signed content is `<webhook-id>.<webhook-timestamp>.<body>`; a signature is `v1,` and the base64 of its
HMAC-SHA256. During a rotation there are several, separated by spaces, and a receiver accepts any of them.
"""

import hmac
from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache


def sign(keys: Sequence[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header.

    keys: raw bytes, the newest first, at least one; timestamp: s since 1970.
    """
    content = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    return " ".join(_signature(key, content) for key in keys)


def _signature(key: bytes, content: bytes) -> str:
    # hmac.digest lets other threads run in the middle of every signature, and then waits for them.
    begun = _begun(key).copy()
    begun.update(content)
    return "v1," + b2a_base64(begun.digest(), newline=False).decode("ascii")


@lru_cache(maxsize=4096)
def _begun(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")

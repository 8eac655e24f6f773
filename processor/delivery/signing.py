"""Standard Webhooks signatures (specification 1.0.0, "Signature scheme").

The signed content is `<webhook-id>.<webhook-timestamp>.<body>`; a signature is `v1,` and the base64 of its
HMAC-SHA256. During a rotation there are several, separated by spaces, and a receiver accepts any of them.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence


def sign(keys: Sequence[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header.

    keys: raw bytes, the newest first, at least one; timestamp: s since 1970.
    """
    content = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    return " ".join("v1," + b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys)

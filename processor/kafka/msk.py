"""Tokens for IAM on Amazon MSK: `kafka.oauth_callback: processor.kafka.msk:token`, with the extra `msk`.

Credentials are found as by AWS's own tools (environment, profile, the role of the pod or the machine). The
region is the property `sasl.oauthbearer.config` if that is set, else AWS_REGION or AWS_DEFAULT_REGION.
"""

from __future__ import annotations

import os

from aws_msk_iam_sasl_signer import MSKAuthTokenProvider


def token(config: str) -> tuple[str, float]:
    """A token, and when it ends (seconds since 1970). Raises where there is no region or no credentials."""
    region = config or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise ValueError("no region: set AWS_REGION, or kafka.properties sasl.oauthbearer.config to it")
    made, ends_at_ms = MSKAuthTokenProvider.generate_auth_token(region)
    return made, ends_at_ms / 1000

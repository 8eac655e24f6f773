"""Whether the sender would call a rule's target, said before it has to.

As far as the text tells: port, literal address, names that mean one. Nothing is resolved, so a name that
passes may still be refused when it is called.
"""

from __future__ import annotations

from processor.egress import EgressPolicy, Refusal
from processor.rules.values import Reference, SecretTarget


def target_refusal(target: str | SecretTarget | Reference, policy: EgressPolicy) -> Refusal | None:
    """What `policy` has against `action_target`; None where it has nothing, or where the URL isn't known.

    Of a sealed target the origin is known, which is all that counts; of a reference and the placeholder
    nothing is. The message holds no more of the URL than its host.
    """
    if isinstance(target, Reference):
        return None
    if isinstance(target, SecretTarget):
        url = target.secret if target.is_plain else target.origin
    else:
        url = target
    return policy.check_url(url) if url else None

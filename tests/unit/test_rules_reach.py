"""What can be said early of a rule's target, in each form a target has."""

import pytest

from processor.egress import EgressPolicy
from processor.rules.reach import target_refusal
from processor.rules.values import Reference, SecretTarget

SEALED = "sealed:k1:" + "A" * 40


@pytest.mark.parametrize(
    ("target", "about"),
    [
        ("http://127.0.0.1/x", "address"),
        ("https://hooks.example.com/x", None),
        (SecretTarget(secret="http://[fd00::1]/x"), "address"),
        (SecretTarget(secret=SEALED, origin="http://10.0.0.1:8080"), "address"),
        (SecretTarget(secret=SEALED, origin="https://hooks.example.com"), None),
        (SecretTarget(secret=SEALED), None),
        (SecretTarget(secret="***"), None),
        (SecretTarget(secret="***", origin="http://10.0.0.1"), "address"),
        (Reference(ref="file:target"), None),
    ],
)
def test_target_is_judged_by_what_is_known_of_it(
    target: str | SecretTarget | Reference, about: str | None
) -> None:
    refusal = target_refusal(target, EgressPolicy())
    assert (refusal and refusal.about) == about
    assert target_refusal(target, EgressPolicy(allow_cidrs=["0.0.0.0/0", "::/0"])) is None

"""Values that may be secret: text, `{secret: …}` (sealed, or plain until it is) and `{ref: …}`.

A secret is write-only. What stands in the rule topic is sealed or a reference; what a read shows is
PLACEHOLDER, and PLACEHOLDER written back means "as it is".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from processor.rules.target import origin_of

PLACEHOLDER: Final = "***"
SEALED_PREFIX: Final = "sealed:"
MAX_SECRET = 4_096
"""Characters of the longest plain secret taken."""

_SEALED = re.compile(r"sealed:[a-zA-Z0-9_.-]{1,64}:[A-Za-z0-9+/]{38,}={0,2}")
_ENV = re.compile(r"env:TOCSIN_SECRET_[A-Za-z0-9_]{1,200}")
_FILE = re.compile(r"file:[^\x00-\x1f\x7f\\\ud800-\udfff]{1,512}")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Secret(_Value):
    """A value that no read shows: sealed, plain (on its way to being sealed) or the placeholder."""

    secret: str = Field(
        repr=False, description="Sealed on write; reads show ***, and *** written back changes nothing."
    )

    @property
    def is_placeholder(self) -> bool:
        """Stands for the value the rule has already."""
        return self.secret == PLACEHOLDER

    @property
    def is_sealed(self) -> bool:
        """Encrypted by a key of secrets.keys."""
        return self.secret.startswith(SEALED_PREFIX)

    @property
    def is_plain(self) -> bool:
        """Neither sealed nor the placeholder."""
        return not (self.is_placeholder or self.is_sealed)


class SecretTarget(Secret):
    """A secret URL; its origin stays readable, for logs and for whoever looks at the rule."""

    origin: str = Field(default="", description="Scheme, host and port of the URL; set on write.")


class Reference(_Value):
    """A value that is looked up where it is used, and never stored."""

    ref: str = Field(description="env:TOCSIN_SECRET_… or file:… (inside secrets.directory).")


SecretValue = Secret | Reference


class SecretWindow(_Value):
    """One of several secrets during a rotation: a value and the time in which it signs."""

    value: SecretValue
    not_before: datetime | None = Field(default=None, description="It signs from then on; none is always.")
    not_after: datetime | None = Field(default=None, description="It signs until then; none is for ever.")

    def holds(self, now_ms: int) -> bool:
        """Whether it signs at that time (ms since 1970)."""
        return (self.not_before is None or _ms(self.not_before) <= now_ms) and (
            self.not_after is None or now_ms < _ms(self.not_after)
        )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def check_secret(text: str) -> str:
    """`text` if it can stand in `{secret: …}`; raises ValueError without repeating it."""
    if not text:
        raise ValueError("is an empty secret; leave it out, or give it a value")
    if _SURROGATE.search(text):
        raise ValueError("is not valid Unicode")
    if text.startswith(SEALED_PREFIX):
        if _SEALED.fullmatch(text) is None:
            raise ValueError(
                "begins with sealed: but is no sealed value; a plain secret can't begin like that"
            )
    elif len(text) > MAX_SECRET:
        raise ValueError(f"is longer than {MAX_SECRET} characters")
    return text


def check_reference(text: str) -> str:
    """`text` if it names an environment variable or file that a rule may name; raises ValueError."""
    if _ENV.fullmatch(text):
        return text
    if _FILE.fullmatch(text):
        path = text.removeprefix("file:")
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(
                "a file: reference is a path below secrets.directory, without / in front and without .."
            )
        return text
    raise ValueError("a reference is env:TOCSIN_SECRET_… or file:… (a path below secrets.directory)")


def read_value(value: object, kind: type[Secret] = Secret) -> object:
    """A map as `kind` or Reference, anything else as it is; for use before pydantic looks at the field.

    Raises PydanticCustomError, never with the value in it.
    """
    if not isinstance(value, Mapping):
        return value
    names = [name for name in value if isinstance(name, str)]
    allowed = set(kind.model_fields) if "secret" in value else {"ref"}
    unknown = sorted(set(names) - allowed)
    if len(names) != len(value) or unknown or not names:
        named = f"unknown field {unknown[0][:60]!r}; " if unknown else ""
        raise PydanticCustomError("secret_form", "{named}expected text, a secret or a ref", {"named": named})
    if not all(isinstance(text, str) for text in value.values()):
        raise PydanticCustomError(
            "secret_form", "expected text as the secret or ref; a number needs quotes", {}
        )
    try:
        if "ref" in value:
            return Reference(ref=check_reference(value["ref"]))
        origin = value.get("origin", "")
        if origin and origin_of(origin) != origin:
            raise ValueError("origin is not one; it is set on write and can be left out")
        return kind(**{**value, "secret": check_secret(value["secret"])})
    except ValueError as wrong:
        raise PydanticCustomError("secret_form", "{why}", {"why": str(wrong)}) from None

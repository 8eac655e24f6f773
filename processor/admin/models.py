"""What the API answers besides rules, as models: answers are made from them, and so are their schemas."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field


class Shown(BaseModel):
    """The base: fixed, and with no field that isn't described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WrongField(Shown):
    """A field and what is wrong with it."""

    path: str = Field(description="delivery.headers.X-Team, action_secret[1].not_after; empty: all of it.")
    message: str = Field(description="For people; never with a value.")


class ProblemDetails(Shown):
    """RFC 9457."""

    type: str = Field(description="urn:tocsin:problem:…, stable.")
    title: str = Field(description="What kind of problem it is.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened here, for people.")
    errors: tuple[WrongField, ...] | None = Field(
        default=None, description="Every field that is wrong, where fields are."
    )


ALL: Final[tuple[type[Shown], ...]] = (WrongField, ProblemDetails)

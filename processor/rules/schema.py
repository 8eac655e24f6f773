"""The trigger rule: every field of a record, an API call and a rules file, with what it may hold.

`TriggerRule` is a rule as it stands in the topic. `RuleDraft` is one as somebody writes it: its id and uid
are wishes, and the placeholder may stand where the rule has a secret already. A field that is not here is
unknown and makes the rule invalid; fields come with the version that builds what they say.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from processor.durations import PositiveDuration
from processor.filters import EventFilter, compile_filter
from processor.rules.fields import (
    Accepted,
    EventPattern,
    HeaderName,
    HeaderValue,
    Labels,
    Moment,
    Name,
    PatternText,
    RateLimit,
    RuleId,
    SigningSecret,
    TargetValue,
    Text,
    Uid,
    null_as,
    without_kind,
    wrong,
)
from processor.rules.headers import MAX_HEADERS
from processor.rules.target import origin_of
from processor.rules.values import Reference, Secret, SecretTarget, SecretValue

KIND = "TriggerRule"
LONGEST_TIMEOUT = timedelta(minutes=10)
MOST_ATTEMPTS = 100


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Delivery(_Part):
    """How the webhook is sent; what is absent follows the sender's settings."""

    timeout: PositiveDuration | None = Field(
        default=None, description="Instead of sender.timeout, for one attempt."
    )
    max_attempts: int | None = Field(
        default=None,
        ge=1,
        le=MOST_ATTEMPTS,
        description="Instead of 1 + the length of sender.retry_schedule.",
    )
    expires_after: PositiveDuration | None = Field(
        default=None, description="From the match on; a job that could not be delivered by then is dead."
    )
    rate_limit: RateLimit = Field(
        default=None,
        description="At most so many attempts: N/s, N/m or N/h, or a bare number per second; N at once.",
    )
    retry_4xx: bool = Field(
        default=True,
        description="Whether an answer 4xx is tried again; if not, all but 408, 425 and 429 are final.",
    )
    headers: Annotated[dict[HeaderName, HeaderValue], null_as(dict)] = Field(
        default={},
        repr=False,
        description="Further headers of the request; values may be secrets or references.",
    )

    @field_validator("timeout")
    @classmethod
    def _short_enough(cls, timeout: timedelta | None) -> timedelta | None:
        if timeout is not None and timeout > LONGEST_TIMEOUT:
            raise wrong("must be at most 10m")
        return timeout

    @field_validator("headers")
    @classmethod
    def _each_once(cls, headers: dict[str, Any]) -> dict[str, Any]:
        if len(headers) > MAX_HEADERS:
            raise wrong(f"has more than {MAX_HEADERS} headers")
        names = [name.lower() for name in headers]
        for name in headers:
            if names.count(name.lower()) > 1:
                raise wrong(f"{name} is there twice (upper and lower case are the same header)")
        return headers


class RuleFields(_Part):
    """What a rule says, apart from which rule it is and who wrote it."""

    name: Name = Field(description="Unique; how files and people call the rule.")
    enabled: bool = Field(
        default=True, description="A disabled rule fires nothing and cancels its waiting jobs."
    )
    description: Text = Field(default="", description="For people.")
    labels: Labels = Field(default={}, description="Names and values for people and tools.")
    filter_severity: Accepted = Field(default=(), description="Accepted severities, exactly; none is any.")
    filter_source: Accepted = Field(default=(), description="Accepted sources, exactly; none is any.")
    filter_message_regex: PatternText = Field(
        default="", description="Go's regexp syntax, found anywhere in the message; empty is any."
    )
    filter_pattern: EventPattern = Field(
        default=None,
        description="An event pattern on any fields, as Amazon EventBridge has them; none is any.",
    )
    action_type: Literal["webhook"] = Field(description="What the rule does: webhook.")
    action_target: TargetValue = Field(description="The URL that is called.")
    action_secret: SigningSecret = Field(
        default=None,
        description="Signs the webhooks (Standard Webhooks): whsec_<base64>, or any text as its bytes."
        " Several during a rotation: a list, each with not_before and not_after.",
    )
    muted_until: Moment | None = Field(default=None, description="Until then new jobs are cancelled.")
    paused: bool = Field(default=False, description="Jobs are held, 30 days at most.")
    delivery: Annotated[Delivery, null_as(Delivery)] = Delivery()

    @model_validator(mode="before")
    @classmethod
    def _of_this_kind(cls, record: object) -> object:
        return without_kind(record, KIND)

    @property
    def identity(self) -> str:
        """What files and people know the rule by: its name."""
        return self.name

    def event_filter(self) -> EventFilter | None:
        """filter_pattern compiled, anew at each call; None if the rule has none."""
        return None if self.filter_pattern is None else compile_filter(self.filter_pattern)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the target: what may be shown and logged. Empty where only a reference
        is known.
        """
        match self.action_target:
            case Reference():
                return ""
            case SecretTarget() as target:
                return origin_of(target.secret) if target.is_plain else target.origin
            case url:
                return origin_of(url)

    def signing_secrets(self) -> Iterable[tuple[str, SecretValue]]:
        """Every signing secret with the path of its field, in the order of the list if it is one."""
        if isinstance(self.action_secret, tuple):
            yield from ((f"action_secret[{n}]", one.value) for n, one in enumerate(self.action_secret))
        elif self.action_secret is not None:
            yield "action_secret", self.action_secret

    def secrets(self) -> Iterable[tuple[str, Secret]]:
        """Every `{secret: …}` with the path of its field."""
        if isinstance(self.action_target, Secret):
            yield "action_target", self.action_target
        yield from ((path, one) for path, one in self.signing_secrets() if isinstance(one, Secret))
        for name, value in self.delivery.headers.items():
            if isinstance(value, Secret):
                yield f"delivery.headers.{name}", value

    def unsealed(self) -> tuple[str, ...]:
        """The fields whose secret stands there as plain text."""
        return tuple(path for path, secret in self.secrets() if secret.is_plain)

    def placeholders(self) -> tuple[str, ...]:
        """The fields that say "as it is"."""
        return tuple(path for path, secret in self.secrets() if secret.is_placeholder)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # Never the target (its path is often a credential) nor header values.
        yield from ((name, getattr(self, name)) for name in ("id", "uid") if name in type(self).model_fields)
        yield from (("name", self.name), ("enabled", self.enabled), ("origin", self.origin))


def _as_text(value: object) -> object:
    return "" if value is None else value


class TriggerRule(RuleFields):
    """A rule as it stands in the topic."""

    id: RuleId
    uid: Annotated[Uid, BeforeValidator(_as_text)] = Field(
        default="", description="Immutable and random; empty in a plain producer's rule."
    )
    set: Text = Field(default="", description="The set it was applied under; `--prune` looks at it.")
    updated_by: Text = ""
    updated_at: Moment | None = None


class RuleDraft(RuleFields):
    """A rule as somebody writes it. Who wrote it and when is taken from the writer, whatever the draft
    says.
    """

    id: RuleId | None = Field(default=None, description="Honoured where it is free.")
    uid: Uid | None = Field(default=None, description="Honoured where it is free.")
    set: str | None = Field(default=None, description="Absent leaves the rule in its set.")
    updated_by: Text = ""
    updated_at: Moment | None = None

    def to_rule(
        self, *, rule_id: int, uid: str, set_name: str, updated_by: str, updated_at: Any, **changed: Any
    ) -> TriggerRule:
        """The rule this draft becomes; `changed` replaces fields (secrets that have been sealed)."""
        said = {name: changed.get(name, getattr(self, name)) for name in RuleFields.model_fields}
        return TriggerRule.model_construct(
            **said, id=rule_id, uid=uid, set=set_name, updated_by=updated_by, updated_at=updated_at
        )

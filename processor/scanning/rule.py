"""The scan rule: what a record of the scan rule topic, an API call and a rules file may hold.

`ScanRule` is a rule as it stands in the topic. A field that is not here is unknown and makes it invalid.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from processor.durations import Duration
from processor.rules.fields import Labels, Moment, Name, PatternText, RuleId, Text, wrong

KIND = "LogScanRule"

Streams = Literal["stdout", "stderr", "both"]


def _cooldown(value: object) -> object:
    return timedelta(0) if value is None else value


class ScanRuleFields(BaseModel):
    """What a scan rule says, apart from which one it is and who wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    name: Name = Field(description="Unique among the rules of one workload, and among the global ones.")
    enabled: bool = Field(
        default=True, description="A disabled rule matches nothing; one that overrides switches off."
    )
    description: Text = Field(default="", description="For people.")
    labels: Labels = Field(default={}, description="Names and values for people and tools.")
    pattern: PatternText = Field(description="Go's regexp syntax, found anywhere in the line.")
    severity: Text = Field(default="", description="The severity of the events.")
    message_template: Text = Field(
        default="",
        description="The message of the events: ${name} stands for what a named group matched, $${ for ${."
        " Empty is the line.",
    )
    cooldown: Annotated[Duration, BeforeValidator(_cooldown)] = Field(
        default=timedelta(0),
        description="How long after an event further hits in the same workload are only counted.",
    )
    streams: Streams = Field(default="both", description="stdout, stderr or both.")
    workload: Name | None = Field(default=None, description="Whose lines; none is every workload's: global.")
    overrides: int | str | None = Field(
        default=None, description="The id or name of the global rule that this one replaces for its workload."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.overrides is not None and self.workload is None:
            raise wrong("overrides needs a workload: a global rule can't replace another one")
        return self


class ScanRule(ScanRuleFields):
    """A scan rule as it stands in the topic."""

    id: RuleId
    set: Text = Field(default="", description="The set it was applied under; `--prune` looks at it.")
    updated_by: Text = ""
    updated_at: Moment | None = None

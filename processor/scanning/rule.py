"""The scan rule: what a record of the scan rule topic, an API call and a rules file may hold.

`ScanRule` is a rule as it stands in the topic, `ScanDraft` one as somebody writes it: its id is a wish, and
`overrides` may say a name. A field that is not here is unknown and makes it invalid.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from processor.durations import Duration
from processor.patterns import compile_pattern
from processor.patterns.captures import group_names
from processor.rules.fields import (
    MAX_ID,
    MAX_NAME,
    Labels,
    Moment,
    Name,
    PatternText,
    RuleId,
    Text,
    null_as,
    without_kind,
    wrong,
    wrong_at,
)
from processor.rules.lists import GO_SPACE
from processor.scanning.template import read_template

KIND = "LogScanRule"
TABLE_KIND = "LogScanRuleTable"
"""What files call the document with the next id."""

Streams = Literal["stdout", "stderr", "both"]

MAX_WORKLOAD = 4_096
"""Characters: a workload may be a file's path."""


def _check_workload(workload: str) -> str:
    if not workload.strip(GO_SPACE):
        raise wrong("is empty; leave it out for a global rule")
    if len(workload) > MAX_WORKLOAD:
        raise wrong(f"is longer than {MAX_WORKLOAD} characters")
    return workload


def _check_reference(value: object) -> object:
    match value:
        case None:
            return None
        case bool():
            pass
        case int() if 1 <= value <= MAX_ID:
            return value
        case str() if value.strip(GO_SPACE) and len(value) <= MAX_NAME:
            return value
    raise wrong("expected the id (a number) or the name (text) of a global rule")


Workload = Annotated[str, AfterValidator(_check_workload)]
Reference = Annotated[
    int | str | None,
    BeforeValidator(_check_reference),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_ID},
                {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
                {"type": "null"},
            ]
        }
    ),
]


class ScanRuleFields(BaseModel):
    """What a scan rule says, apart from which one it is and who wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    name: Name = Field(description="Unique among the rules of one workload, and among the global ones.")
    enabled: bool = Field(
        default=True, description="A disabled rule matches nothing; one that overrides switches off."
    )
    description: Text = Field(default="", description="For people.")
    labels: Labels = Field(default={}, description="Names and values for people and tools.")
    pattern: PatternText = Field(
        default="",
        description="Go's regexp syntax, found anywhere in the line. Only a disabled rule may have none.",
    )
    severity: Text = Field(default="", description="The severity of the events.")
    message_template: Text = Field(
        default="",
        description="The message of the events: ${name} stands for what a named group matched, $${ for ${."
        " Empty is the line.",
    )
    cooldown: Annotated[Duration, null_as(timedelta)] = Field(
        default=timedelta(0),
        description="How long after an event further hits in the same workload are only counted.",
    )
    streams: Annotated[Streams, null_as(lambda: "both")] = Field(
        default="both", description="stdout, stderr or both."
    )
    workload: Workload | None = Field(
        default=None, description="Whose lines; none is every workload's: a global rule."
    )
    overrides: Reference = Field(
        default=None, description="The id or name of the global rule that this one replaces for its workload."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_this_kind(cls, record: object) -> object:
        return without_kind(record, KIND)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.overrides is not None and self.workload is None:
            raise wrong_at("needs a workload: a global rule can't replace another one", "overrides")
        if not self.pattern and self.enabled:
            raise wrong_at("is missing; for a rule that every line matches, say ^", "pattern")
        if self.message_template:
            try:
                read_template(self.message_template, group_names(compile_pattern(self.pattern)))
            except ValueError as error:
                raise wrong_at(str(error), "message_template") from None
        return self

    @property
    def identity(self) -> Hashable:
        """What files and people know the rule by: its workload (None is all) and its name."""
        return (self.workload, self.name)


class ScanRule(ScanRuleFields):
    """A scan rule as it stands in the topic. What the store writes has an id in `overrides`, never a name."""

    id: RuleId
    set: Text = Field(default="", description="The set it was applied under; `--prune` looks at it.")
    updated_by: Text = ""
    updated_at: Moment | None = None


class ScanDraft(ScanRuleFields):
    """A scan rule as somebody writes it. Who wrote it and when is taken from the writer, whatever the draft
    says.
    """

    id: RuleId | None = Field(default=None, description="Honoured where it is free.")
    set: str | None = Field(default=None, description="Absent leaves the rule in its set.")
    updated_by: Text = ""
    updated_at: Moment | None = None

    def to_rule(
        self,
        *,
        rule_id: int,
        set_name: str,
        updated_by: str,
        updated_at: datetime | None,
        overrides: int | str | None,
    ) -> ScanRule:
        """The rule this draft becomes; `overrides` as it was found in the table."""
        said: dict[str, Any] = {name: getattr(self, name) for name in ScanRuleFields.model_fields}
        return ScanRule.model_construct(
            **{**said, "overrides": overrides},
            id=rule_id,
            set=set_name,
            updated_by=updated_by,
            updated_at=updated_at,
        )

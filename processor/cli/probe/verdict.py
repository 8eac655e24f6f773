"""Why no webhook came, in one sentence with what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from processor.delivery.whereabouts import Whereabouts
from processor.durations import format_duration
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class Group:
    """The matchers' consumer group: its members, and what it has committed of the event's partition."""

    name: str
    members: int
    next_offset: int | None


def over(job: Whereabouts | None) -> bool:
    """Whether no webhook can come any more."""
    return job is not None and job.state in ("dead", "cancelled")


def why_none(job: Whereabouts | None, group: Group, offset: int, origin: str) -> str:
    """What stands in the way. `job` is None where there is no such job; `origin` is the probe's own."""
    if job is None:
        return _no_job(group, offset)
    detail = f": {job.detail}" if job.detail else ""
    if job.state == "dead" and job.why == "blocked":
        return (
            f"the sender may not call {origin}{detail}; name its host in sender.egress.allow_hosts of the"
            " sender or its range in sender.egress.allow_cidrs, or give --url an address that it may call"
        )
    if job.state == "delivered":
        return (
            f"the sender delivered it, but not here: what answers at {origin} is not this probe; give --url"
            " the address at which senders reach --listen"
        )
    if job.state in ("dead", "cancelled"):
        return f"the job is {job.state} ({job.why}){detail}"
    if job.why == "retry":
        return f"the sender could not deliver to {origin}{detail}; is --url the address of this probe for it?"
    return f"the job waits ({job.why or job.state}){detail}"


def _no_job(group: Group, offset: int) -> str:
    if not group.members:
        return f"no matcher is running (the group {group.name} has no member)"
    if group.next_offset is None:
        return f"no matcher reads the partition yet (the group {group.name} has no offset of it)"
    if group.next_offset <= offset:
        behind = offset + 1 - group.next_offset
        return f"no matcher has come to the event yet ({group.name} is {behind} behind in its partition)"
    return (
        "a matcher read the event and its rule didn't fire; are matcher.event_fields and topics.prefix here"
        " those of the matcher?"
    )


def event_of(settings: Settings, source: str, message: str) -> dict[str, object]:
    """An event with its fields where matchers look for them."""
    fields = settings.matcher.event_fields
    event: dict[str, object] = {}
    for path, text in ((fields.severity, "debug"), (fields.source, source), (fields.message, message)):
        *groups, name = path.split(".")
        inside = event
        for group in groups:
            inner = inside.setdefault(group, {})
            if not isinstance(inner, dict):
                break  # a path through another field's text: a rule can't look there either
            inside = inner
        inside[name] = text
    return event


def rule_of(settings: Settings, name: str, target: str) -> dict[str, object]:
    """The probe's rule: it fires on the probe's event alone, and its job doesn't live on."""
    return {
        "name": name,
        "description": "Made by tocsin probe, which deletes it when it ends.",
        "filter_source": [name],
        "action_type": "webhook",
        "action_target": target,
        "delivery": {"expires_after": format_duration(settings.sender.timeout * 40)},
    }

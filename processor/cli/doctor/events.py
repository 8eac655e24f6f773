"""The look at the newest events: what a matcher with these settings would make of them."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from processor.cli.doctor.finding import Finding
from processor.events import EventFields
from processor.events.sample import DECIDING, Deciding, Sample
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.errors import KafkaFailure
from processor.kafka.records import position_of
from processor.kafka.scan import Stretch, read, stretches
from processor.settings import Settings

_SHOWN: Final = 8


def look_at_events(settings: Settings, cluster: Cluster, size: int, timeout: float) -> Iterator[Finding]:
    """The newest `size` events of each topic, read without a group; a topic that isn't there is not a
    subject of this look.
    """
    for topic in settings.matcher.event_topics:
        if cluster.topic(topic, timeout=timeout) is None:
            continue
        try:
            sample = _take(settings, cluster, topic, size, timeout)
        except KafkaFailure as failure:
            yield Finding("skipped", "events", topic, str(failure))
            continue
        if not sample.events:
            yield Finding("skipped", "events", topic, "there are no events in it to look at")
            continue
        yield from _judge(settings, topic, sample)


def _take(settings: Settings, cluster: Cluster, topic: str, size: int, timeout: float) -> Sample:
    fields = settings.matcher.event_fields
    sample = Sample(EventFields(fields.severity, fields.source, fields.message))
    wanted = _newest(stretches(cluster, topic, committed=True, timeout=timeout), size)
    config = client_config(settings.kafka, settings.topics.name("cli"))
    for records in read(config, wanted, patience=timeout):
        for record in records:
            sample.add(record.value(), f"{position_of(record)}@{record.offset()}")
    return sample


def _newest(whole: list[Stretch], size: int) -> list[Stretch]:
    """The end of each stretch, `size` offsets in all where there are so many."""
    left = size
    newest: list[Stretch] = []
    # The short ones first: what they lack, the others give.
    for place, one in enumerate(sorted(whole, key=lambda stretch: stretch.end - stretch.start)):
        share = min(one.end - one.start, -(-left // (len(whole) - place)))
        newest.append(Stretch(one.position, one.end - share, one.end))
        left -= share
    return newest


def _judge(settings: Settings, topic: str, sample: Sample) -> Iterator[Finding]:
    for reason, count in sample.unreadable.most_common():
        place, detail = sample.first_unreadable[reason]
        yield Finding(
            "wrong" if sample.unreadable.total() * 2 > sample.events else "warning",
            "events",
            topic,
            f"{count} of the newest {sample.events} are unreadable ({reason}), such as {place}: {detail}",
            f"write JSON objects to it; what isn't one goes to {settings.topics.events_dead}",
        )
    if not sample.readable:
        return
    never = sample.never_said()
    for name in never:
        yield _missing(settings, topic, sample, name)
    if sample.repaired:
        yield Finding(
            "warning",
            "events",
            topic,
            f"{sample.repaired} of the newest {sample.events} hold bytes that are not UTF-8",
            "nothing has to be done: such a byte becomes U+FFFD",
        )
    if len(never) < len(DECIDING):
        yield Finding("ok", "events", topic, f"newest {sample.events}: {_summary(settings, sample)}")


def _missing(settings: Settings, topic: str, sample: Sample, name: Deciding) -> Finding:
    setting = f"matcher.event_fields.{name}"
    reason = f"none of the newest {sample.readable} readable events has a {name} at {_path(settings, name)!r}"
    if instead := sample.instead(name):
        remedy = f"set {setting} to {instead}, which {sample.paths[instead]} of them have"
        return Finding("wrong", "events", topic, reason, remedy)
    fields = ", ".join(path for path, _ in sample.paths.most_common(_SHOWN))
    remedy = f"set {setting} to its path, if there is one, among {fields}" if fields else "write it"
    # Without any of the three, no rule but one that takes everything can fire.
    everything = len(sample.never_said()) == len(DECIDING)
    return Finding("wrong" if everything else "warning", "events", topic, reason, remedy)


def _summary(settings: Settings, sample: Sample) -> str:
    said = ", ".join(
        f"{name} ({_path(settings, name)}) in {sample.said[name]}" for name in DECIDING if sample.said[name]
    )
    severities = ", ".join(f"{value[:20]} {count}" for value, count in sample.severities.most_common(5))
    own = {_path(settings, name) for name in DECIDING}
    others = list(islice((path for path, _ in sample.paths.most_common() if path not in own), _SHOWN))
    parts = [said]
    if severities:
        parts.append(f"severities {severities}")
    if others:
        parts.append(f"also {', '.join(others)}")
    return "; ".join(parts)


def _path(settings: Settings, name: Deciding) -> str:
    path: str = getattr(settings.matcher.event_fields, name)
    return path

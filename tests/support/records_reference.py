"""docs/records.md, docs/schemas/ and docs/asyncapi.yaml, written from the code; a test compares them.

After a change:

    python -m tests.support.records_reference
"""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import yaml

from processor import __version__
from processor.jobs.ids import SHARDS
from processor.kafka.topics import wanted_topics
from processor.settings import Settings
from tests.support.record_schemas import NUMBERS, Schema, schemas

DOCS = Path(__file__).parents[2] / "docs"
RECORDS_FILE = DOCS / "records.md"
ASYNCAPI_FILE = DOCS / "asyncapi.yaml"
SCHEMAS_DIRECTORY = DOCS / "schemas"

_HEAD = """\
# Records

What is in Tocsin's Kafka topics, for those who read or write them with programs of their own. The names have
the default `topics.prefix`. [asyncapi.yaml](asyncapi.yaml) says the same as an AsyncAPI 3 document, and
[schemas/](schemas) has the JSON Schema (draft 7) of each record.

Texts are UTF-8, headers ASCII, and numbers in headers decimal. Rules, jobs and audit records may have a
header `tocsin-format`; absent means 1, and a newer one than this version knows is refused and said. All of
them are written in transactions: read them with `isolation.level=read_committed`. Pass over what you don't
know: further fields of JSON records (but of a rule), headers, and keys that begin with `_`. A rule with an
unknown field is invalid. Records of the rule topic that Tocsin wrote also have a header `write-id`, by which
a writer finds its own after a lost answer.
"""

_MEDIA = "application/schema+json;version=draft-07"


class Message(NamedTuple):
    """A kind of record. `payload` and `headers` name schemas; None is a value that isn't JSON of ours."""

    name: str
    summary: str
    key: str
    payload: str | None
    headers: str | None
    value: str = ""


class Channel(NamedTuple):
    """A topic and what is in it; `retries` stands for one topic for each delay."""

    name: str
    address: str
    summary: str
    messages: tuple[Message, ...]
    writers: str
    readers: str


def channels() -> tuple[Channel, ...]:
    """Every topic, with its default name."""
    topics = Settings().topics
    key = f"`<rule id>/<shard>`, shards from 0 to {SHARDS - 1}"
    job = Message("job", "A webhook to be sent.", key, "webhook-body", "job-headers")
    return (
        Channel(
            "events",
            Settings().matcher.event_topics[0],
            "Your event topics (`matcher.event_topics`). Tocsin only reads them.",
            (Message("event", "An event: any JSON object.", "yours", None, None, "a JSON object"),),
            "your services",
            "matcher",
        ),
        Channel(
            "rules",
            topics.rules,
            "The rule table: compacted, one partition.",
            (
                Message(
                    "rule",
                    "A rule. Without a value it is deleted.",
                    "the rule's id in decimal, 1 to 2^53−1",
                    "trigger-rule",
                    None,
                ),
                Message("table", "The next id to give out.", "`_table`", "table", None),
                Message("release", "What was released, and when.", "`_release`", "release", None),
            ),
            "the command line, the admin API, any producer",
            "matcher, sender, admin, the command line",
        ),
        Channel("jobs", topics.jobs, "Jobs to be attempted now.", (job,), "matcher, sender", "sender"),
        Channel(
            "retries",
            f"{topics.retry_prefix}{{delay}}",
            "Jobs that wait, one topic for each delay.",
            (job,),
            "sender",
            "sender",
        ),
        Channel(
            "dead",
            topics.dead,
            "Jobs that were given up.",
            (
                Message("deadJob", "A job that was given up.", "the job's", "webhook-body", "dead-headers"),
                Message(
                    "redelivered",
                    "A note that a dead job was put back.",
                    "the job's",
                    None,
                    "redelivered-headers",
                    "no value",
                ),
            ),
            "sender, `deliveries redeliver`, the admin API",
            "`deliveries`, the admin API",
        ),
        Channel(
            "deliveries",
            topics.deliveries,
            "The audit trail.",
            (Message("delivery", "An attempt or a decision.", "the job's id", "delivery", None),),
            "sender",
            "`deliveries`, the admin API",
        ),
        Channel(
            "unreadable",
            topics.events_dead,
            "Events that could not be read.",
            (
                Message(
                    "unreadableEvent",
                    "An event that could not be read, untouched.",
                    "the event's",
                    None,
                    "unreadable-event-headers",
                    "the event's bytes; none if it is too large",
                ),
            ),
            "matcher",
            "whoever mends the events",
        ),
        Channel(
            "scanRules",
            topics.scan_rules,
            "The table of scan rules: compacted, one partition.",
            (
                Message(
                    "scanRule",
                    "A scan rule. Without a value it is deleted.",
                    "the rule's id in decimal, 1 to 2^53−1",
                    "scan-rule",
                    None,
                ),
                Message("scanTable", "The next id to give out.", "`_table`", "table", None),
            ),
            "the command line, the admin API, any producer",
            "scanner, admin, the command line",
        ),
        Channel(
            "scanners",
            topics.scanner_status,
            "What each scanner last reported: compacted, one partition.",
            (
                Message(
                    "scannerReport",
                    "A scanner's report. Without a value it ended in good order.",
                    "the scanner's node (`scanner.node`)",
                    "scanner-report",
                    None,
                ),
            ),
            "scanner",
            "admin, `scan-rules stats`",
        ),
    )


def schema_files() -> dict[str, str]:
    """The text of each file of docs/schemas by name."""
    return {
        f"{name}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas().items()
    }


def asyncapi_file() -> str:
    """The text of docs/asyncapi.yaml."""
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tocsin",
            "version": __version__,
            "description": "The Kafka topics of Tocsin, with the default topics.prefix. Operations are"
            " those of Tocsin's own processes.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in channels()},
        "operations": _operations(),
        "components": {"messages": {m.name: _message(m) for c in channels() for m in c.messages}},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def records_file() -> str:
    """The text of docs/records.md."""
    return "\n".join(_records())


def _channel(channel: Channel) -> Schema:
    names = [message.name for message in channel.messages]
    found: Schema = {
        "address": channel.address,
        "description": channel.summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }
    if "{delay}" in channel.address:
        delays = [channel_delay(delay) for delay in Settings().sender.tiers]
        found["parameters"] = {
            "delay": {"description": "As in sender.retry_schedule.", "enum": delays, "default": delays[0]}
        }
    return found


def channel_delay(delay: timedelta) -> str:
    """The end of a retry topic's name."""
    return Settings().topics.retry(delay).removeprefix(Settings().topics.retry_prefix)


def _operations() -> Schema:
    return {
        name: {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": summary,
        }
        for name, action, channel, summary in (
            ("readEvents", "receive", "events", "The matcher judges events."),
            ("readRules", "receive", "rules", "Every role keeps the rule table."),
            ("writeRules", "send", "rules", "The command line and the admin API write rules."),
            ("writeJobs", "send", "jobs", "The matcher writes a job for each event and rule, exactly once."),
            ("readJobs", "receive", "jobs", "The sender attempts jobs."),
            ("writeRetries", "send", "retries", "The sender has a job wait."),
            ("readRetries", "receive", "retries", "The sender attempts it again when it is due."),
            ("writeDead", "send", "dead", "The sender gives a job up."),
            ("readDead", "receive", "dead", "A dead job is put back."),
            ("writeDeliveries", "send", "deliveries", "The sender writes down what it did."),
            ("readDeliveries", "receive", "deliveries", "Deliveries are looked up."),
            ("writeUnreadable", "send", "unreadable", "The matcher puts an event aside."),
            ("readScanRules", "receive", "scanRules", "Scanners and the admin API keep the table."),
            ("writeScanRules", "send", "scanRules", "The command line and the admin API write scan rules."),
            ("writeScanners", "send", "scanners", "A scanner says how it is."),
            ("readScanners", "receive", "scanners", "The admin API and the command line add reports up."),
        )
    }


def _message(message: Message) -> Schema:
    found: Schema = {"summary": message.summary}
    if message.headers is not None:
        found["headers"] = _reference(message.headers)
    if message.payload is not None:
        found["payload"] = _reference(message.payload)
    elif message.name == "event":
        found["payload"] = {"type": "object"}
    # Of Kafka's binding, the key's schema: a text in each of them.
    key = {"type": "string", "description": message.key.replace("`", "")}
    found["bindings"] = {"kafka": {"key": key, "bindingVersion": "0.5.0"}}
    return found


def _reference(name: str) -> Schema:
    return {"schemaFormat": _MEDIA, "schema": {"$ref": f"./schemas/{name}.json"}}


def _records() -> Iterator[str]:
    yield from _HEAD.splitlines()
    yield ""
    configs = {spec.name: spec.config for spec in wanted_topics(Settings(), {})}
    found, told = schemas(), set[str]()
    for channel in channels():
        yield f"## {channel.address.replace('{delay}', '…')}"
        yield ""
        yield f"{channel.summary} Written by: {channel.writers}. Read by: {channel.readers}."
        config = configs.get(channel.address.replace("{delay}", channel_delay(Settings().sender.tiers[0])))
        if config:
            said = ", ".join(f"`{name}={value}`" for name, value in config.items())
            yield f"Made with {said}."
        yield ""
        for message in channel.messages:
            yield from _record(message, {} if message.name in told else found)
            told.add(message.name)


def _record(message: Message, tables: Mapping[str, Schema]) -> Iterator[str]:
    """What is said of a kind of record, and the tables of its schemas where they are given."""
    value = message.value or _link(message.payload)
    headers = _link(message.headers)
    yield f"**{message.summary}** Key: {message.key}. Value: {value}. Headers: {headers}."
    yield ""
    for name, what in ((message.payload, "field"), (message.headers, "header")):
        if name is not None and name in tables:
            yield from _table(tables[name], what)


def _link(name: str | None) -> str:
    return "none of Tocsin's" if name is None else f"[{name}](schemas/{name}.json)"


def _table(schema: Schema, what: str) -> Iterator[str]:
    required = schema.get("required", ())
    yield f"| {what} | holds | required | meaning |"
    yield "|---|---|---|---|"
    for name, held in schema["properties"].items():
        needed = "yes" if name in required else ""
        yield f"| `{name}` | {_holds(held)} | {needed} | {held.get('description', '')} |"
    yield ""


def _holds(schema: Schema) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join("null" if one is None else f"`{one}`" if one else "empty" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_holds(one) for one in schema["anyOf"]))
    pattern = str(schema.get("pattern", ""))
    if pattern in NUMBERS:
        return "number"
    if pattern:
        return f"text like `{pattern}`".replace("|", "\\|")
    kind = str(schema.get("type", "any"))
    return {"string": "text", "array": "list", "integer": "whole number"}.get(kind, kind)


def write() -> None:
    """Write all of it."""
    SCHEMAS_DIRECTORY.mkdir(exist_ok=True)
    for old in SCHEMAS_DIRECTORY.glob("*.json"):
        old.unlink()
    for name, text in schema_files().items():
        (SCHEMAS_DIRECTORY / name).write_text(text, encoding="utf-8")
    RECORDS_FILE.write_text(records_file(), encoding="utf-8")
    ASYNCAPI_FILE.write_text(asyncapi_file(), encoding="utf-8")


if __name__ == "__main__":
    write()

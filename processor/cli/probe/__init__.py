"""`tocsin probe`: one event goes the whole way, and its webhook comes back here.

It makes a rule that points at its own listener, appends an event that only this rule asks for, waits for the
webhook, and deletes the rule whatever happens. listener.py takes the webhook, verdict.py says why none came.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

from processor.cli.connecting import connected
from processor.cli.errors import DONE, CommandFailed, UsageError
from processor.cli.output import add_output_flag, print_fields, print_json
from processor.cli.parser import Subparsers
from processor.cli.probe.listener import Arrival, Listener
from processor.cli.probe.verdict import Group, event_of, over, rule_of, why_none
from processor.cli.rules.store import rule_store
from processor.cli.times import now_ms
from processor.cli.waiting import add_timeout_flag, duration
from processor.delivery.finding import find_job
from processor.delivery.lookup import Lookup
from processor.delivery.whereabouts import Whereabouts
from processor.egress.target import TargetError, read_target
from processor.jobs import job_id
from processor.kafka.cluster import Cluster, TopicInfo
from processor.kafka.config import client_config
from processor.kafka.errors import KafkaFailure
from processor.kafka.event_log import append_event
from processor.kafka.records import Position
from processor.rules import Change, Create, Delete, RuleDraft, RuleSnapshot, RuleStore, TriggerRule
from processor.settings import Settings
from processor.settings_values import parse_host_port

SET: Final = "tocsin-probe"
"""The set of the probes' rules: one that was killed leaves its rule, and a later one deletes it."""

LEFT_OVER: Final = timedelta(hours=1)

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at what became of the job while no webhook comes."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `probe`."""
    parser = subparsers.add_parser(
        "probe",
        help="send one event the whole way and see its webhook arrive",
        description="Makes a rule that points at a listener of its own, appends an event that it fires on,"
        " waits for the webhook, and deletes the rule again. Rules without filters fire on it as well.",
    )
    parser.add_argument(
        "--listen",
        default="127.0.0.1:0",
        metavar="HOST:PORT",
        help="where to take the webhook (default: a free port of 127.0.0.1)",
    )
    parser.add_argument(
        "--url",
        metavar="URL",
        help="scheme, host and port at which senders reach --listen (default: http and --listen)",
    )
    parser.add_argument(
        "--topic", metavar="NAME", help="one of matcher.event_topics (default: the first of them)"
    )
    parser.add_argument(
        "--within",
        type=duration,
        default=timedelta(seconds=60),
        metavar="DURATION",
        help="how long the webhook may take (default: 60s)",
    )
    add_output_flag(parser)
    add_timeout_flag(parser)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the way the event took; CommandFailed when its webhook didn't come."""
    host, port = _listen_address(args)
    topic = args.topic or settings.matcher.event_topics[0]
    if topic not in settings.matcher.event_topics:
        raise UsageError(f"--topic: {topic} is not in matcher.event_topics, no matcher would read it")
    with connected(args, settings) as cluster, _terminated_is_interrupted():
        info = cluster.topic(topic, timeout=args.timeout.total_seconds())
        if info is None:
            raise CommandFailed(f"topic {topic} does not exist")
        with _listening(host, port) as listener:
            target = f"{args.url or _origin(host, listener.port)}{listener.path}"
            probe = _Probe(args, settings, cluster, topic=info, listener=listener, target=target)
            fields = probe.run()
    if args.output == "json":
        print_json(fields)
    else:
        print_fields(_for_people(fields))
    return DONE


class _Probe:
    """One probe; everything it makes is gone when run() has ended."""

    def __init__(
        self,
        args: argparse.Namespace,
        settings: Settings,
        cluster: Cluster,
        *,
        topic: TopicInfo,
        listener: Listener,
        target: str,
    ) -> None:
        self._args = args
        self._settings = settings
        self._cluster = cluster
        self._topic = topic
        self._listener = listener
        self._target = target
        self._name = f"tocsin-probe-{secrets.token_hex(4)}"

    def run(self) -> dict[str, object]:
        """What it found, as plain values."""
        with rule_store(self._args, self._settings) as store:
            began = time.monotonic()
            # Set before the answer is there: also a rule whose acknowledgement was lost is deleted.
            try:
                rule = self._make_rule(store)
                made = time.monotonic()
                return self._send(store, rule, _ms(made - began))
            finally:
                store.transact(self._delete_own)

    def _make_rule(self, store: RuleStore) -> TriggerRule:
        draft = RuleDraft.model_validate(rule_of(self._settings, self._name, self._target))

        def plan(snapshot: RuleSnapshot) -> Sequence[Change]:
            return [Create(draft, set=SET), *_left_over(snapshot, datetime.now(UTC))]

        applied = store.transact(plan)
        rule = next(one.rule for one in applied if one.name == self._name)
        if rule is None:
            raise CommandFailed(f"the rule {self._name} was not written")
        return rule

    def _delete_own(self, snapshot: RuleSnapshot) -> Sequence[Change]:
        return [Delete(b"%d" % rule_id) for rule_id in snapshot.by_name.get(self._name, ())]

    def _send(self, store: RuleStore, rule: TriggerRule, rule_ms: float) -> dict[str, object]:
        event = event_of(self._settings, self._name, "tocsin probe: this event may be ignored")
        config = client_config(self._settings.kafka, self._settings.topics.name("probe"))
        timeout = self._args.timeout.total_seconds()
        sent = time.monotonic()
        partition, offset = append_event(config, self._topic.name, json.dumps(event).encode(), timeout)
        event_ms = _ms(time.monotonic() - sent)
        epoch = self._settings.matcher.replay_epoch
        job = job_id(self._topic.id, partition, offset, rule.id, rule.uid, epoch)
        place = (Position(self._topic.name, partition), offset)
        arrival = self._wait(store, job, place, sent)
        problem = _wrong(arrival, job, self._name, event)
        if problem:
            raise CommandFailed(f"a webhook came, and {problem}")
        return {
            "rule": {"id": rule.id, "name": self._name, "acknowledged_ms": rule_ms},
            "event": {
                "topic": self._topic.name,
                "partition": partition,
                "offset": offset,
                "acknowledged_ms": event_ms,
            },
            "webhook": {
                "id": job,
                "attempt": int(arrival.headers.get("webhook-attempt", "1")),
                "arrived_ms": _ms(arrival.at - sent),
            },
        }

    def _wait(self, store: RuleStore, job: str, place: tuple[Position, int], sent: float) -> Arrival:
        until = sent + self._args.within.total_seconds()
        position, offset = place
        while True:
            left = until - time.monotonic()
            arrival = self._listener.wait(min(LOOK_EVERY, left))
            if arrival is not None:
                return arrival
            no_webhook = f"no webhook came within {_seconds(time.monotonic() - sent)}"
            try:
                found = self._look(store, job)
            except KafkaFailure as failure:  # such as the right to read the audit trail
                if time.monotonic() < until:
                    continue
                raise CommandFailed(f"{no_webhook}, and nothing tells where it stayed: {failure}") from None
            if over(found) or time.monotonic() >= until:
                origin = read_target(self._target).origin
                raise CommandFailed(f"{no_webhook}: {why_none(found, self._group(position), offset, origin)}")

    def _look(self, store: RuleStore, job: str) -> Whereabouts | None:
        lookup = Lookup(self._settings, self._cluster, self._args.timeout)
        found = find_job(lookup, job, store.read(), now_ms)
        return None if found is None else found.known

    def _group(self, position: Position) -> Group:
        name = self._settings.topics.group("matcher")
        try:
            members = self._cluster.group_members(name)
            commit = self._cluster.group_offsets(name, [position])[position]
        except KafkaFailure:  # the right to look at the group may be missing, and something is to be said
            return Group(name, 1, None)
        return Group(name, members, None if commit is None else commit.next_offset)


def _left_over(snapshot: RuleSnapshot, now: datetime) -> list[Delete]:
    return [
        Delete(b"%d" % rule.id)
        for rule in snapshot.rules.values()
        if rule.set == SET and rule.updated_at is not None and now - rule.updated_at > LEFT_OVER
    ]


def _wrong(arrival: Arrival, job: str, rule: str, event: object) -> str:
    """What is not as it should be with the webhook; empty when all is well."""
    try:
        said = json.loads(arrival.body)
        found = (said["type"], said["trigger_name"], said["event"])
    except (ValueError, TypeError, KeyError):
        return "its body is none of Tocsin's"
    if found != ("event_trigger", rule, event):
        return "its body is not that of the probe's event"
    if (given := arrival.headers.get("webhook-id")) != job:
        return f"its id is {given}, not {job}: is matcher.replay_epoch here that of the matcher?"
    return ""


def _listen_address(args: argparse.Namespace) -> tuple[str, int]:
    try:
        host, port = parse_host_port(args.listen)
    except ValueError as wrong:
        raise UsageError(f"--listen: {wrong}") from None
    if args.url is None:
        if host in ("0.0.0.0", "::"):  # noqa: S104  (compared with, not listened on)
            raise UsageError(f"--listen {args.listen} is every address: give --url the one that senders call")
    else:
        args.url = args.url.rstrip("/")
        try:
            origin = read_target(args.url).origin
        except TargetError as wrong:
            raise UsageError(f"--url: {wrong}") from None
        if not args.url.startswith("http://") or args.url.count("/") > 2:
            raise UsageError(f"--url takes http, host and port, as in {origin}: the probe speaks no TLS")
    return host, port


def _origin(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _listening(host: str, port: int) -> Iterator[Listener]:
    try:
        listener = Listener(host, port)
    except OSError as failure:
        raise CommandFailed(f"can't listen on {host}:{port}: {failure.strerror}") from None
    with listener:
        yield listener


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """Let SIGTERM, which pods get, clean up as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _for_people(fields: dict[str, object]) -> dict[str, object]:
    rule, event, webhook = (dict(fields[name]) for name in ("rule", "event", "webhook"))  # type: ignore[call-overload]
    place = f"{event['topic']}, partition {event['partition']}, offset {event['offset']}"
    return {
        "rule": f"{rule['id']} ({rule['name']}), in force after {rule['acknowledged_ms']} ms, deleted again",
        "event": f"{place}, acknowledged after {event['acknowledged_ms']} ms",
        "webhook": f"{webhook['id']}, attempt {webhook['attempt']}",
        "way": f"{webhook['arrived_ms']} ms from the event's sending to its webhook",
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s"

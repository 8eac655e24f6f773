"""The sender as a service: makes the parts of the loop from the settings and owns its threads."""

from __future__ import annotations

import os
import secrets
import ssl
import threading
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Final

from processor.delivery.admission import Admission
from processor.delivery.circuit import CircuitPolicy
from processor.delivery.circuits import Circuits
from processor.delivery.clerk import Clerk, Policy
from processor.delivery.destinations import Destinations
from processor.delivery.http import Poster
from processor.delivery.lease import Lease, boot_clock
from processor.delivery.loop import Parts, SenderLoop
from processor.delivery.ownership import JobTopics
from processor.delivery.proxy import Proxy
from processor.delivery.sending import Posting, Sending
from processor.delivery.tls import TlsError, tls_context
from processor.delivery.tracing import TracedPoster
from processor.durations import parse_duration
from processor.egress.policy import EgressPolicy
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.consumer import GroupConsumer
from processor.kafka.readiness import largest_record, wait_for_topics
from processor.kafka.starting import StartingOffsets
from processor.kafka.transaction import TransactionalProducer
from processor.kafka.watch import TopicWatch, Watchdog
from processor.lifecycle import Deadline, Refused
from processor.observability.health import Health, RoleChecks
from processor.observability.metrics import Metrics
from processor.observability.tracing import Tracing
from processor.rules.live import LiveRules
from processor.rules.references import References
from processor.rules.resolve import Resolver
from processor.rules.sealing import KeyRing
from processor.settings import Settings

ROLE: Final = "sender"

HEADROOM = 128
"""Bytes a batch's framing takes of a topic's limit.

The matcher leaves more of it, so that a job that fitted into its topic fits into every retry topic too, and
into the dead one with the headers that say why.
"""

LOOP_MAX_AGE = 60.0
"""Seconds: longer than any call the loop makes while a broker answers."""

FETCH_BYTES = 131_072
"""Per partition: retry topics are read a little at a time, and what a pause drops is fetched again."""

FETCH_WAIT_MS = 50
"""Resumed partitions wait so long for a fetch of the others that brings nothing."""


class Sender:
    """Runs the loop and the HTTP thread. Several senders share the job partitions through their group."""

    def __init__(
        self,
        settings: Settings,
        rules: LiveRules,
        metrics: Metrics,
        health: Health,
        tracing: Tracing | None = None,
    ) -> None:
        """`rules` and `tracing` are started and stopped by whoever made them. Opens no connection yet."""
        self._settings = settings
        self._tracing = tracing
        self._rules = rules
        self._metrics = metrics
        self._checks = RoleChecks.register(
            health, ROLE, loop_max_age=LOOP_MAX_AGE, transaction_max_age=LOOP_MAX_AGE
        )
        self._stop = threading.Event()
        self._deadline = Deadline(timedelta(0))
        self._thread = threading.Thread(target=self._run, name=ROLE, daemon=True)
        self._failed: BaseException | None = None
        self._sending: Sending | None = None
        self._loop: SenderLoop | None = None

    @property
    def name(self) -> str:
        """For logs."""
        return ROLE

    @property
    def failed(self) -> BaseException | None:
        """Why it ended by itself, if it did."""
        return self._failed or (self._sending.failed if self._sending is not None else None)

    def start(self) -> None:
        """Start working; returns at once, and waits for the broker in its own thread."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Let attempts in flight end, write what became of them, and leave the group, by the deadline."""
        self._deadline = deadline
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(deadline.remaining())
        if self._thread.is_alive():
            raise TimeoutError("the sender did not drain in time")

    def status(self) -> Mapping[str, object]:
        """For /status: the jobs in hand, by why they wait."""
        return {ROLE: self._loop.status if self._loop is not None else {}}

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as failure:  # noqa: BLE001 - reported by lifecycle, which ends the process
            self._failed = failure

    def _work(self) -> None:
        settings, checks = self._settings, self._checks
        cluster = Cluster(settings.kafka, settings.topics.name("sender-admin"))
        if not wait_for_topics(settings, ROLE, cluster, self._stop, checks.broker.failed):
            return
        probe = Cluster(settings.kafka, settings.topics.name("sender-watchdog"))

        def reachable(reason: str | None) -> None:
            checks.broker.met() if reason is None else checks.broker.failed(reason)

        tls = self._tls_context()
        lease = Lease(boot_clock())
        self._sending = sending = Sending(lambda: self._poster(tls), lambda: lease.may_send(boot_clock()))
        retry_topics = self._retry_topics(cluster)
        watch = TopicWatch(cluster, [settings.topics.jobs, *retry_topics], reachable)
        parts = self._parts(cluster, retry_topics, watch, sending, lease)
        self._loop = loop = SenderLoop(parts, self._stop)
        watchdog = Watchdog(
            lambda: parts.producer.blocked_since,
            lambda: probe.answers(2.0),
            signs=(checks.loop, checks.transaction),
        )
        sending.start()
        watch.start()
        watchdog.start()
        try:
            loop.run(lambda: self._deadline)
        finally:
            watchdog.stop()
            watch.stop()
            sending.stop(2.0)

    def _tls_context(self) -> ssl.SSLContext:
        tls = self._settings.sender.tls
        try:
            return tls_context(tls.ca, tls.certificate, tls.key)
        except TlsError as error:
            raise Refused(str(error)) from None

    def _poster(self, tls: ssl.SSLContext) -> AbstractAsyncContextManager[Posting]:
        sender = self._settings.sender
        proxy = sender.egress.proxy
        poster = Poster(
            EgressPolicy.of(sender.egress),
            tls,
            timeout=sender.timeout.total_seconds(),
            connect_timeout=sender.connect_timeout.total_seconds(),
            proxy=None if proxy is None else Proxy.read(proxy.get_secret_value()),
        )
        if self._tracing is None:
            return poster
        return TracedPoster(poster, self._tracing, self._settings.topics.jobs)

    def _parts(
        self,
        cluster: Cluster,
        retry_topics: Mapping[str, int],
        watch: TopicWatch,
        sending: Sending,
        lease: Lease,
    ) -> Parts:
        settings = self._settings
        topics, sender = settings.topics, settings.sender
        instance = sender.instance_id
        base = client_config(settings.kafka, topics.name(ROLE))
        written = {_ms(delay): topics.retry(delay) for delay in sender.tiers}
        # Audit records are small; those two carry whole jobs.
        largest = largest_record([*written.values(), topics.dead], cluster, HEADROOM)
        return Parts(
            topics=JobTopics(topics.jobs, retry_topics, frozenset(written.values())),
            consumer=lambda loop: GroupConsumer(
                base,
                topics.group(ROLE),
                instance,
                loop,
                fetch_bytes=FETCH_BYTES,
                fetch_wait_ms=FETCH_WAIT_MS,
            ),
            producer=TransactionalProducer(
                {**base, "message.max.bytes": largest},
                topics.name(f"{ROLE}.{instance or secrets.token_hex(8)}"),
            ),
            starting=lambda consumer: StartingOffsets(consumer, cluster, "earliest"),
            cluster=cluster,
            watch=watch,
            sending=sending,
            clerk=Clerk(
                Policy(
                    retry_topics=written,
                    dead_topic=topics.dead,
                    audit_topic=topics.deliveries,
                    schedule_ms=tuple(_ms(delay) for delay in sender.retry_schedule),
                    retry_after_max_ms=_ms(sender.retry_after_max),
                    largest=largest,
                ),
                self._rules,
                Resolver(
                    KeyRing.parse(key.get_secret_value() for key in settings.secrets.keys),
                    References(os.environ, settings.secrets.directory),
                ),
                self._metrics,
            ),
            admission=Admission(
                Destinations(sender.destination_concurrency, sender.max_in_flight),
                Circuits(CircuitPolicy.of(sender.circuit)),
                sorted(written),
            ),
            lease=lease,
            max_in_flight=sender.max_in_flight,
            metrics=self._metrics,
            checks=self._checks,
        )

    def _retry_topics(self, cluster: Cluster) -> dict[str, int]:
        """All there are, with their delays in ms: those of an earlier schedule are still drained."""
        topics = self._settings.topics
        found = {topics.retry(delay): _ms(delay) for delay in self._settings.sender.tiers}
        for name in cluster.topics():
            if name.startswith(topics.retry_prefix) and name not in found:
                try:
                    found[name] = _ms(parse_duration(name.removeprefix(topics.retry_prefix)))
                except ValueError:
                    continue  # somebody else's topic that happens to look like ours
        return found


def _ms(delay: timedelta) -> int:
    return delay // timedelta(milliseconds=1)

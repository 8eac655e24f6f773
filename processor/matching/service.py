"""The matcher as a service: makes the parts of the loop from the settings and owns its threads."""

from __future__ import annotations

import logging
import secrets
import threading
from pathlib import Path
from typing import Final

from processor.events import EventDecoder, EventFields
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.consumer import GroupConsumer
from processor.kafka.plain import AcknowledgedProducer
from processor.kafka.readiness import largest_record, wait_for_topics
from processor.kafka.starting import StartingOffsets
from processor.kafka.table import EndOffset
from processor.kafka.transaction import TransactionalProducer
from processor.kafka.watch import TopicWatch, Watchdog
from processor.lifecycle import Deadline
from processor.matching.building import ShardBuilder
from processor.matching.current import CurrentRules
from processor.matching.engine import RuleSet
from processor.matching.freshness import Freshness
from processor.matching.judge import Judge
from processor.matching.loop import MatcherLoop, Parts
from processor.matching.tracing import TracedProducer
from processor.matching.writer import Producer
from processor.observability.health import Health, RoleChecks
from processor.observability.metrics import Metrics
from processor.observability.tracing import Tracing
from processor.patterns import CacheError, Compiler, DatabaseCache
from processor.patterns.sets import SetCompiler
from processor.rules.live import LiveRules
from processor.settings import Settings

log = logging.getLogger(__name__)

ROLE: Final = "matcher"

HEADROOM = 2_048
"""Bytes left of the topics' limits: room for a batch's framing, and for headers the sender adds on later
hops.
"""

LOOP_MAX_AGE = 60.0
"""Seconds: longer than any call the loop makes while a broker answers."""


class Matcher:
    """Runs the loop on a thread of its own. Matchers share the event partitions through their group."""

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
        self._thread = threading.Thread(target=self._run, name=ROLE, daemon=True)
        self._failed: BaseException | None = None

    @property
    def name(self) -> str:
        """For logs."""
        return ROLE

    @property
    def failed(self) -> BaseException | None:
        """Why it ended by itself, if it did."""
        return self._failed

    def start(self) -> None:
        """Start working; returns at once, and waits for the broker in its own thread."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Commit what is judged and leave the group, by the deadline."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(max(0.0, deadline.remaining()))
        if self._thread.is_alive():
            raise TimeoutError("the matcher did not drain in time")

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as failure:  # noqa: BLE001 - reported by lifecycle, which ends the process
            self._failed = failure

    def _work(self) -> None:
        settings, checks = self._settings, self._checks
        cluster = Cluster(settings.kafka, settings.topics.name("matcher-admin"))
        if not wait_for_topics(settings, ROLE, cluster, self._stop, checks.broker.failed):
            return
        probe = Cluster(settings.kafka, settings.topics.name("matcher-watchdog"))
        end = EndOffset(
            client_config(settings.kafka, settings.topics.name("matcher-rules-end")), settings.topics.rules
        )

        def reachable(reason: str | None) -> None:
            checks.broker.met() if reason is None else checks.broker.failed(reason)

        watch = TopicWatch(cluster, settings.matcher.event_topics, reachable)
        freshness = Freshness(
            self._rules,
            end.ask,
            settings.matcher.rules_freshness,
            settings.matcher.rules_max_wait.total_seconds() if settings.matcher.rules_max_wait else None,
        )
        compiler = Compiler(cache=_cache(settings.matcher.cache_directory))
        builder = ShardBuilder(SetCompiler(compiler))
        rule_set = RuleSet(epoch=settings.matcher.replay_epoch, builder=builder)
        self._metrics.rules_uncompiled.set_function(lambda: rule_set.alone)
        loop = MatcherLoop(self._parts(cluster, watch, freshness, rule_set), self._stop)
        watchdog = Watchdog(
            lambda: loop.producer.blocked_since,
            lambda: probe.answers(2.0),
            signs=(checks.loop, checks.transaction),
        )
        builder.start()
        watch.start()
        watchdog.start()
        try:
            loop.run()
        finally:
            watchdog.stop()
            watch.stop()
            builder.stop()
            compiler.close()
            end.close()

    def _parts(self, cluster: Cluster, watch: TopicWatch, freshness: Freshness, rule_set: RuleSet) -> Parts:
        settings = self._settings
        instance = settings.matcher.instance_id
        fields = settings.matcher.event_fields
        base = client_config(settings.kafka, settings.topics.name(ROLE))

        largest = largest_record([settings.topics.jobs, settings.topics.events_dead], cluster, HEADROOM)

        def untraced(consumer: GroupConsumer) -> Producer:
            config = {**base, "message.max.bytes": largest}
            if settings.matcher.guarantee == "at_least_once":
                return AcknowledgedProducer(config, consumer)
            # Fencing is by group generation, so a random id is right; a kept one only speeds up a restart.
            return TransactionalProducer(
                config, settings.topics.name(f"{ROLE}.{instance or secrets.token_hex(8)}")
            )

        def producer(consumer: GroupConsumer) -> Producer:
            plain = untraced(consumer)
            if self._tracing is None:
                return plain
            return TracedProducer(plain, self._tracing, settings.topics.jobs)

        return Parts(
            event_topics=list(settings.matcher.event_topics),
            consumer=lambda loop: GroupConsumer(base, settings.topics.group(ROLE), instance, loop),
            producer=producer,
            starting=lambda consumer: StartingOffsets(consumer, cluster, settings.matcher.start_from),
            watch=watch,
            rules=CurrentRules(self._rules, rule_set),
            freshness=freshness,
            judge=Judge(
                EventDecoder(EventFields(fields.severity, fields.source, fields.message)),
                settings.topics.jobs,
                settings.topics.events_dead,
            ),
            metrics=self._metrics,
            checks=self._checks,
        )


def _cache(directory: Path | None) -> DatabaseCache | None:
    if directory is None:
        return None
    try:
        return DatabaseCache(directory)
    except CacheError as failure:
        log.warning("matcher.cache_directory is not used", extra={"fields": {"reason": str(failure)}})
        return None

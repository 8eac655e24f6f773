"""The settings: one frozen model, its defaults, and the names of everything of Tocsin's own on Kafka.

`load_settings` reads a YAML file and the environment (`settings_sources` says how); `settings_values` says
what each kind of value accepts. A setting's description here is the one text about it: config/tocsin.yaml and
docs/settings.md are compared with this model by a test. Printing or dumping a model never shows a secret; the
code that needs one asks for it by `get_secret_value()`, and `kafka.properties` by the attribute.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from processor.durations import Duration, PositiveDuration, format_duration
from processor.settings_admin import AdminSettings
from processor.settings_kafka import KafkaSettings, TopicSettings
from processor.settings_scanner import ScannerSettings
from processor.settings_sources import Group, SettingsError, load_model, wrong
from processor.settings_values import (
    TOPIC_NAME_MAX,
    BaseUrl,
    Cidr,
    Count,
    CountFrom0,
    Directory,
    FieldPath,
    HostGlob,
    KafkaName,
    KeyEntry,
    Listen,
    Port,
    ProxyUrl,
    ReadableFile,
    SecretHeaders,
    Share,
    StartFrom,
)

__all__ = [
    "AdminSettings",
    "KafkaSettings",
    "ScannerSettings",
    "Settings",
    "SettingsError",
    "TopicSettings",
    "load_settings",
]

SHORTEST_TIER = timedelta(seconds=5)
"""A retry topic with this delay always exists: what remains of a longer wait is at most this, in memory."""

# Jobs are kept for 30 days in their topics: a longer wait would lose them.
_LONGEST_RETRY = timedelta(days=14)


class EventFieldSettings(Group):
    """Where an event holds the three fields that rules look at."""

    severity: FieldPath = Field(default="severity", description="Dotted path of the severity in an event.")
    source: FieldPath = Field(default="source", description="Dotted path of the source in an event.")
    message: FieldPath = Field(default="message", description="Dotted path of the message in an event.")


class MatcherSettings(Group):
    """The matcher: which events it reads, and how."""

    event_topics: tuple[KafkaName, ...] = Field(
        default=("event-log",),
        min_length=1,
        description="Topics to read events from: full names, no prefix is added.",
    )
    start_from: StartFrom = Field(
        default="latest",
        description="Where a group that has never committed begins: latest, earliest or a time in RFC 3339.",
    )
    instance_id: KafkaName | None = Field(
        default=None,
        description="A name that means this one process for ever, such as a StatefulSet's pod: a restart "
        "takes over sooner. None is random per process.",
    )
    replay_epoch: CountFrom0 = Field(
        default=0,
        description="Part of every job's id: raise it to make a deliberate replay of old events count as "
        "new.",
    )
    guarantee: Literal["exactly_once", "at_least_once"] = Field(
        default="exactly_once",
        description="How often an event and a rule make a job: exactly_once or at_least_once.",
    )
    rules_freshness: Literal["strict", "eventual"] = Field(
        default="strict",
        description="strict judges no event by rules older than those acknowledged before it; eventual "
        "doesn't wait.",
    )
    rules_max_wait: PositiveDuration | None = Field(
        default=None,
        description="With strict: how long to wait for the newest rules before going on without, loudly. "
        "None waits however long it takes.",
    )
    cache_directory: Path | None = Field(
        default=None,
        description="Where compiled rules are kept, so that thousands of them are ready at once after a "
        "restart: a directory that only this user may write to. None compiles anew.",
    )
    event_fields: EventFieldSettings = EventFieldSettings()


class EgressSettings(Group):
    """Exceptions to whom the sender may call; public addresses need none."""

    allow_cidrs: tuple[Cidr, ...] = Field(
        default=(), description="Address ranges that may be called although they are not public."
    )
    allow_hosts: tuple[HostGlob, ...] = Field(
        default=(),
        description="Host names (globs) that may be called whatever they resolve to, link-local and metadata"
        " addresses excepted.",
    )
    allow_ports: tuple[Port, ...] = Field(
        default=(), description="Ports that may be called; an empty list is any."
    )
    proxy: ProxyUrl | None = Field(
        default=None,
        description="Forward proxy that all webhooks go through: http:// or https://, with user:password@ if"
        " it wants them. It resolves the names, so it has to keep private addresses closed. A secret.",
    )


class SenderTlsSettings(Group):
    """TLS towards the receivers."""

    ca: ReadableFile | None = Field(
        default=None, description="PEM file with the authorities to trust; none trusts the system's."
    )
    certificate: ReadableFile | None = Field(
        default=None, description="PEM file with the certificate that the sender shows to receivers."
    )
    key: ReadableFile | None = Field(
        default=None,
        description="PEM file with that certificate's private key; none if the certificate's file has it.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.key and not self.certificate:
            raise wrong(
                "sender.tls.certificate", "is needed too: a key without its certificate has no effect"
            )
        return self


class CircuitSettings(Group):
    """Circuit breakers: when the sender stops calling a destination or sending for a rule, and probes."""

    window: PositiveDuration = Field(default=timedelta(minutes=1), description="How far back attempts count.")
    failure_share: Share = Field(
        default=0.5,
        description="The share of failed attempts, of at least five within the window, from which on nothing"
        " is sent any more but a probe now and then. Twenty failures in a row do it too.",
    )
    backoff_max: PositiveDuration = Field(
        default=timedelta(minutes=5),
        description="The longest time between two probes; it begins with 5s and doubles. A receiver that"
        " came back is noticed within it.",
    )


class SenderSettings(Group):
    """The sender: when it tries, how long, how much at once."""

    instance_id: KafkaName | None = Field(default=None, description="As matcher.instance_id, for the sender.")
    retry_schedule: tuple[PositiveDuration, ...] = Field(
        default=tuple(timedelta(seconds=s) for s in (5, 60, 600, 3600, 21600)),
        min_length=1,
        description="The waits between the attempts of a job: there is one attempt more than the list is "
        "long. Each distinct delay is a topic.",
    )
    timeout: PositiveDuration = Field(
        default=timedelta(seconds=15),
        description="Time for one attempt, from resolving the name to the status line.",
    )
    connect_timeout: PositiveDuration = Field(
        default=timedelta(seconds=5), description="Time for the connection of an attempt, TLS included."
    )
    max_in_flight: Count = Field(default=1000, description="Attempts under way at once in one process.")
    destination_concurrency: Count = Field(
        default=16,
        description="Attempts under way at once to one destination (scheme, host and port) in one process.",
    )
    retry_after_max: Duration = Field(
        default=timedelta(hours=1),
        description="The longest wait that a receiver's Retry-After is followed for.",
    )
    circuit: CircuitSettings = CircuitSettings()
    egress: EgressSettings = EgressSettings()
    tls: SenderTlsSettings = SenderTlsSettings()

    @model_validator(mode="after")
    def _short_enough(self) -> Self:
        for delay in self.retry_schedule:
            if delay > _LONGEST_RETRY:
                limit = format_duration(_LONGEST_RETRY)
                raise wrong("sender.retry_schedule", f"{format_duration(delay)} is too long: {limit} at most")
        return self

    @property
    def tiers(self) -> tuple[timedelta, ...]:
        """The delays that have a retry topic, shortest first: those of the schedule and 5 s."""
        return tuple(sorted({SHORTEST_TIER, *self.retry_schedule}))


class SecretsSettings(Group):
    """What seals the secrets in rules, and where references to secrets may point."""

    keys: tuple[KeyEntry, ...] = Field(
        default=(),
        description="Keys as id:base64-of-32-bytes: the first seals, all of them open. A secret.",
    )
    directory: Directory | None = Field(
        default=None,
        description="The directory inside which a rule's file: references may point; none refuses them.",
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [key.get_secret_value().partition(":")[0] for key in self.keys]
        for key_id in ids:
            if ids.count(key_id) > 1:
                raise wrong("secrets.keys", f"the id {key_id} is there twice; every key needs its own")
        return self


class TelemetrySettings(Group):
    """Health, metrics and traces."""

    listen: Listen = Field(
        default="0.0.0.0:9464",
        description="Where /healthz, /readyz, /metrics and /status are served: host:port. Port 0 takes a "
        "free one and logs it; empty is off.",
    )
    otlp_endpoint: BaseUrl | None = Field(
        default=None,
        description="An OpenTelemetry collector, such as http://collector:4318: spans of jobs and attempts go"
        " to its /v1/traces (OTLP over HTTP). Needs the extra otel; none makes no spans.",
    )
    otlp_headers: SecretHeaders = Field(
        default={}, description="Headers that the collector wants, such as Authorization. Secrets."
    )
    otlp_ca: ReadableFile | None = Field(
        default=None,
        description="PEM file with the authorities to trust for it; none trusts those of the requests"
        " library.",
    )
    trace_share: Share = Field(
        default=1.0,
        description="The share of traces begun here that are recorded, above 0, at most 1. An event that"
        " brings a trace along brings that decision too.",
    )


class ProcessSettings(Group):
    """The process itself."""

    shutdown_timeout: PositiveDuration = Field(
        default=timedelta(seconds=25), description="Time to drain after SIGTERM or SIGINT."
    )


class LoggingSettings(Group):
    """Logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is logged: debug, info, warning or error, and what is above."
    )
    format: Literal["text", "json"] | None = Field(
        default=None, description="text or json; none is text on a terminal and JSON elsewhere."
    )


class Settings(Group):
    """Everything that can be set; `Settings()` is all defaults."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    matcher: MatcherSettings = MatcherSettings()
    sender: SenderSettings = SenderSettings()
    secrets: SecretsSettings = SecretsSettings()
    admin: AdminSettings = AdminSettings()
    scanner: ScannerSettings = ScannerSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    process: ProcessSettings = ProcessSettings()
    logging: LoggingSettings = LoggingSettings()

    @model_validator(mode="after")
    def _never_feeds_itself(self) -> Self:
        outputs = self.output_topics
        for topic in self.matcher.event_topics:
            if self.matcher.event_topics.count(topic) > 1:
                raise wrong("matcher.event_topics", f"{topic} is there twice")
            # Retry topics of an earlier schedule may still be there, so the whole family is refused.
            if topic in outputs or topic.startswith(self.topics.retry_prefix):
                raise wrong(
                    "matcher.event_topics",
                    f"{topic} is a topic that Tocsin writes to; events need one of their own",
                )
        scanned = self.scanner.event_topic
        if scanned in outputs or scanned.startswith(self.topics.retry_prefix):
            raise wrong(
                "scanner.event_topic", f"{scanned} is a topic of Tocsin's own; events need one of their own"
            )
        longest = max(outputs, key=len)
        if len(longest) > TOPIC_NAME_MAX:
            raise wrong(
                "topics.prefix",
                f"is too long: {longest[-40:]} would have more than {TOPIC_NAME_MAX} characters",
            )
        return self

    @property
    def output_topics(self) -> tuple[str, ...]:
        """Every topic that Tocsin writes to, the retry topics shortest first."""
        topics = self.topics
        retries = [topics.retry(delay) for delay in self.sender.tiers]
        return (
            *(topics.rules, topics.jobs, *retries, topics.dead, topics.deliveries, topics.events_dead),
            *(topics.scan_rules, topics.scanner_status),
        )


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings from the file at `path` (else at TOCSIN_CONFIG, else none), `environ`'s variables over it.

    Raises SettingsError: one line that names the setting, where it was set, and what it should be.
    """
    return load_model(Settings, path, environ)

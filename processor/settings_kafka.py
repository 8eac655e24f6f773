"""The settings of the connection to Kafka and of Tocsin's own topics, with every name of its own there."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from processor.durations import format_duration
from processor.settings_sources import Group, wrong
from processor.settings_values import Bootstrap, Count, Properties, ReadableFile, Secret, TopicPrefix

_WITH_PASSWORD = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}


class KafkaSettings(Group):
    """The connection to Kafka."""

    bootstrap_servers: Bootstrap = Field(
        default="localhost:9092", description="Brokers to begin with: host:port, several with commas between."
    )
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        default="plaintext", description="How to connect: plaintext, ssl, sasl_plaintext or sasl_ssl."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"] | None = (
        Field(
            default=None,
            description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or GSSAPI; needed with a sasl_ "
            "protocol.",
        )
    )
    sasl_username: str | None = Field(default=None, description="User name for PLAIN and SCRAM.")
    sasl_password: Secret | None = Field(default=None, description="Password for PLAIN and SCRAM. A secret.")
    ssl_ca: ReadableFile | None = Field(
        default=None, description="PEM file with the authorities to trust; none trusts the system's."
    )
    ssl_certificate: ReadableFile | None = Field(
        default=None, description="PEM file with the client's certificate."
    )
    ssl_key: ReadableFile | None = Field(
        default=None, description="PEM file with the client certificate's private key."
    )
    properties: Properties = Field(
        default={},
        repr=False,  # may hold secrets, such as ssl.key.password
        description="Further librdkafka properties, passed through. Those that would break a guarantee, and "
        "those that have a setting of their own, are refused by name.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        protocol, mechanism = self.security_protocol, self.sasl_mechanism
        for name in ("sasl_mechanism", "sasl_username", "sasl_password"):
            if getattr(self, name) and "sasl" not in protocol:
                raise wrong(
                    f"kafka.{name}",
                    f"has no effect: set kafka.security_protocol to sasl_ssl (it is {protocol})",
                )
            if not getattr(self, name) and mechanism in _WITH_PASSWORD:
                raise wrong(f"kafka.{name}", f"is needed with sasl_mechanism {mechanism}")
        if "sasl" in protocol and mechanism is None:
            raise wrong("kafka.sasl_mechanism", f"is needed with security_protocol {protocol}")
        for name in ("ssl_ca", "ssl_certificate", "ssl_key"):
            if getattr(self, name) and "ssl" not in protocol:
                raise wrong(
                    f"kafka.{name}",
                    f"has no effect: set kafka.security_protocol to ssl or sasl_ssl (it is {protocol})",
                )
        if bool(self.ssl_certificate) != bool(self.ssl_key):
            missing = "ssl_key" if self.ssl_certificate else "ssl_certificate"
            raise wrong(f"kafka.{missing}", "is needed too: ssl_certificate and ssl_key go together")
        return self


class TopicSettings(Group):
    """The names and sizes of Tocsin's own topics."""

    prefix: TopicPrefix = Field(
        default="tocsin.",
        description="In front of every topic, group, transactional id and client id of Tocsin's own: one "
        "prefixed ACL covers them, and two installations with different prefixes never meet.",
    )
    partitions: Count = Field(
        default=6, description="Partitions of the job topic, of each retry topic and of the audit trail."
    )
    replication_factor: Count | None = Field(
        default=None,
        description="Replicas of each topic of Tocsin's own; none leaves it to the broker's default.",
    )

    def name(self, x: str) -> str:
        """`x` with the prefix: a topic, group, transactional id or client id of this installation."""
        return f"{self.prefix}{x}"

    def group(self, role: str) -> str:
        """The consumer group of `matcher` or `sender`."""
        return self.name(role)

    @property
    def rules(self) -> str:
        """The rule table: compacted, one partition."""
        return self.name("trigger-rules")

    @property
    def jobs(self) -> str:
        """The jobs that the matcher writes and the sender sends."""
        return self.name("webhook-jobs")

    @property
    def retry_prefix(self) -> str:
        """What the name of every retry topic starts with, whatever its delay."""
        return self.name("webhook-jobs.retry.")

    def retry(self, delay: timedelta) -> str:
        """The retry topic whose records wait for `delay`: 60 s is `….retry.1m`."""
        return f"{self.retry_prefix}{format_duration(delay)}"

    @property
    def dead(self) -> str:
        """The jobs that are given up."""
        return self.name("webhook-jobs.dead")

    @property
    def deliveries(self) -> str:
        """The audit trail: one record per attempt or decision."""
        return self.name("webhook-deliveries")

    @property
    def events_dead(self) -> str:
        """The events that could not be read."""
        return self.name("events.dead")

    @property
    def scan_rules(self) -> str:
        """The table of scan rules: compacted, one partition."""
        return self.name("log-scan-rules")

    @property
    def scanner_status(self) -> str:
        """What each scanner last reported, by its node: compacted, one partition."""
        return self.name("scanner-status")

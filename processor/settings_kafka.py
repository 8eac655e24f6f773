"""The settings of the connection to Kafka and of Tocsin's own topics, with every name of its own there."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from processor.durations import format_duration
from processor.settings_sources import Group, wrong
from processor.settings_values import (
    BaseUrl,
    Bootstrap,
    Callback,
    Count,
    Properties,
    ReadableFile,
    Secret,
    TopicPrefix,
)

_WITH_PASSWORD = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}
_OAUTH = (
    *("oauth_client_id", "oauth_client_secret", "oauth_scope"),
    *("oauth_token_endpoint", "oauth_callback"),
)


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
    oauth_token_endpoint: BaseUrl | None = Field(
        default=None,
        description="Where OAUTHBEARER fetches its tokens with the client credentials grant (RFC 6749, 4.4).",
    )
    oauth_client_id: str | None = Field(default=None, description="The client's id at oauth_token_endpoint.")
    oauth_client_secret: Secret | None = Field(
        default=None, description="The client's secret at oauth_token_endpoint. A secret."
    )
    oauth_scope: str | None = Field(
        default=None, description="The scope to ask oauth_token_endpoint for, if it wants one."
    )
    oauth_callback: Callback | None = Field(
        default=None,
        description="Instead of oauth_token_endpoint, `module:function` of a function that gives OAUTHBEARER"
        " its tokens; `processor.kafka.msk:token` is one for IAM on Amazon MSK.",
    )
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
            if name != "sasl_mechanism" and getattr(self, name) and mechanism not in {None, *_WITH_PASSWORD}:
                raise wrong(f"kafka.{name}", f"has no effect with sasl_mechanism {mechanism}")
            if not getattr(self, name) and mechanism in _WITH_PASSWORD:
                raise wrong(f"kafka.{name}", f"is needed with sasl_mechanism {mechanism}")
        if "sasl" in protocol and mechanism is None:
            raise wrong("kafka.sasl_mechanism", f"is needed with security_protocol {protocol}")
        self._oauth_fits_together()
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

    def _oauth_fits_together(self) -> None:
        given = [name for name in _OAUTH if getattr(self, name) is not None]
        if self.sasl_mechanism != "OAUTHBEARER":
            if given:
                raise wrong(f"kafka.{given[0]}", "has no effect: set kafka.sasl_mechanism to OAUTHBEARER")
            return
        if self.oauth_callback is not None:
            if others := [name for name in given if name != "oauth_callback"]:
                raise wrong(f"kafka.{others[0]}", "has no effect beside kafka.oauth_callback: set one")
            return
        if self.oauth_token_endpoint is not None:
            for name in ("oauth_client_id", "oauth_client_secret"):
                # Another grant than client credentials may do without.
                if name not in given and "sasl.oauthbearer.grant.type" not in self.properties:
                    raise wrong(f"kafka.{name}", "is needed with kafka.oauth_token_endpoint")
            return
        if given:
            raise wrong("kafka.oauth_token_endpoint", f"is needed with kafka.{given[0]}")
        # What librdkafka can do beyond this (tokens of a cloud's metadata service, unsecured ones) has
        # properties of its own.
        if not any("sasl.oauthbearer." in name for name in self.properties):
            raise wrong(
                "kafka.oauth_token_endpoint",
                "is needed with sasl_mechanism OAUTHBEARER, or kafka.oauth_callback",
            )


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

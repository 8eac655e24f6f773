"""librdkafka's properties for a connection: what every client of this process starts from."""

from __future__ import annotations

from typing import Any

from processor.kafka.tokens import token_callback
from processor.settings import KafkaSettings

Config = dict[str, Any]
"""librdkafka properties by their own names, and confluent_kafka's call-backs."""

_BASE: Config = {
    "socket.keepalive.enable": True,
    # A broker that was restarted is found again within a second (default: 10 s).
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,
    # Brokers close idle connections; that is no event worth a log line.
    "log.connection.close": False,
}


def client_config(kafka: KafkaSettings, client_id: str, **overrides: Any) -> Config:
    """A client's properties: defaults, `overrides`, the user's `kafka.properties`, then the connection's own.

    `client_id` is the full name, prefix included. An override is named as the property, or with `_` for each
    dot: `linger_ms=5`. The user's properties win over it, because it is a matter of tuning: what a guarantee
    rests on can't be in kafka.properties (settings refuse it by name).
    """
    config = {**_BASE, **{_property(name): value for name, value in overrides.items()}, **kafka.properties}
    config["bootstrap.servers"] = kafka.bootstrap_servers
    config["client.id"] = client_id
    config["security.protocol"] = kafka.security_protocol
    optional = {
        "sasl.mechanism": kafka.sasl_mechanism,
        "sasl.username": kafka.sasl_username,
        "sasl.password": kafka.sasl_password.get_secret_value() if kafka.sasl_password else None,
        "sasl.oauthbearer.method": "oidc" if kafka.oauth_token_endpoint else None,
        "sasl.oauthbearer.token.endpoint.url": kafka.oauth_token_endpoint,
        "sasl.oauthbearer.client.id": kafka.oauth_client_id,
        "sasl.oauthbearer.client.secret": (
            kafka.oauth_client_secret.get_secret_value() if kafka.oauth_client_secret else None
        ),
        "sasl.oauthbearer.scope": kafka.oauth_scope,
        "ssl.ca.location": kafka.ssl_ca,
        "ssl.certificate.location": kafka.ssl_certificate,
        "ssl.key.location": kafka.ssl_key,
    }
    config.update({name: str(value) for name, value in optional.items() if value is not None})
    if kafka.oauth_callback is not None:
        callback = token_callback(kafka.oauth_callback)
        # A client without a token waits for ten seconds and can't be made then.
        callback.require(str(config.get("sasl.oauthbearer.config", "")))
        config["oauth_cb"] = callback
    return config


def _property(name: str) -> str:
    # The few names that have no dots but underscores: call-backs and log_level.
    return name if name.endswith("_cb") or name == "log_level" else name.replace("_", ".")

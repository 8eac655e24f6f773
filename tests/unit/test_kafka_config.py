"""The properties that every Kafka client of a process starts from."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer

from processor.kafka.config import client_config
from processor.settings import KafkaSettings


def kafka(**settings: Any) -> KafkaSettings:
    return KafkaSettings.model_validate(settings)


def test_plain_settings_become_librdkafka_properties() -> None:
    config = client_config(kafka(bootstrap_servers="a:1,b:2"), "tocsin.matcher")

    assert config["bootstrap.servers"] == "a:1,b:2"
    assert config["client.id"] == "tocsin.matcher"
    assert config["security.protocol"] == "plaintext"
    assert not [name for name in config if name.startswith(("sasl.", "ssl."))]


def test_rights_and_certificates_are_passed_on(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("ca", "certificate", "key")}
    for file in files.values():
        file.write_text("x")
    given = kafka(
        security_protocol="sasl_ssl",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="tocsin",
        sasl_password="hush",
        **{f"ssl_{name}": str(file) for name, file in files.items()},
    )

    config = client_config(given, "c")

    assert config["security.protocol"] == "sasl_ssl"
    assert config["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (config["sasl.username"], config["sasl.password"]) == ("tocsin", "hush")
    assert config["ssl.ca.location"] == str(files["ca"])
    assert config["ssl.certificate.location"] == str(files["certificate"])
    assert config["ssl.key.location"] == str(files["key"])


def test_overrides_tune_and_the_users_properties_win_over_them() -> None:
    given = kafka(properties={"linger.ms": 50, "socket.keepalive.enable": False})

    config = client_config(given, "c", linger_ms=5, queue_buffering_max_ms=7, **{"batch.size": 9})

    assert config["linger.ms"] == 50
    assert config["socket.keepalive.enable"] is False
    assert config["queue.buffering.max.ms"] == 7
    assert config["batch.size"] == 9


def test_call_backs_keep_their_names() -> None:
    def told(error: object) -> None: ...

    assert client_config(kafka(), "c", error_cb=told)["error_cb"] is told


def test_the_client_takes_every_property() -> None:
    config = client_config(kafka(bootstrap_servers="127.0.0.1:1"), "c", log_level=0)

    Producer(config)
    with pytest.raises(KafkaException, match="No such configuration property"):
        Producer({**config, "no.such.property": 1})

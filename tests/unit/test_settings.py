"""Settings: where they come from, how secrets stay hidden, which names follow from them."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr, ValidationError

from processor.settings import Settings, load_settings
from processor.settings_sources import settings_of
from tests.support.settings_reference import CONFIG_FILE, DOCS_FILE, config_file, docs_file

KEY = base64.b64encode(bytes(range(32))).decode()


def file_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tocsin.yaml"
    path.write_text(text, encoding="utf-8")
    return path


class TestSources:
    def test_without_file_and_variables_all_is_default(self) -> None:
        assert load_settings(None, {}) == Settings()

    def test_variable_wins_over_the_file(self, tmp_path: Path) -> None:
        path = file_of(tmp_path, "topics: {prefix: file., partitions: 3}\n")
        settings = load_settings(path, {"TOCSIN_TOPICS__PREFIX": "variable."})
        assert (settings.topics.prefix, settings.topics.partitions) == ("variable.", 3)

    def test_file_is_found_by_variable_and_flag_wins_over_it(self, tmp_path: Path) -> None:
        path = file_of(tmp_path, "topics: {prefix: a.}")
        other = tmp_path / "other.yaml"
        other.write_text("topics: {prefix: b.}")
        assert load_settings(None, {"TOCSIN_CONFIG": str(path)}).topics.prefix == "a."
        assert load_settings(other, {"TOCSIN_CONFIG": str(path)}).topics.prefix == "b."
        assert load_settings(None, {"TOCSIN_CONFIG": ""}).topics.prefix == "tocsin."

    def test_lists_and_maps_are_json_in_a_variable(self) -> None:
        settings = load_settings(
            None,
            {
                "TOCSIN_MATCHER__EVENT_TOPICS": '["a", "b"]',
                "TOCSIN_KAFKA__PROPERTIES": '{"debug": "cgrp", "socket.keepalive.enable": true}',
                "TOCSIN_SENDER__EGRESS__ALLOW_PORTS": "[443, 8443]",
            },
        )
        assert settings.matcher.event_topics == ("a", "b")
        assert settings.kafka.properties == {"debug": "cgrp", "socket.keepalive.enable": True}
        assert settings.sender.egress.allow_ports == (443, 8443)

    def test_text_of_a_variable_is_taken_as_it_is(self) -> None:
        # A password that happens to look like JSON is no JSON.
        environ = {
            "TOCSIN_KAFKA__SECURITY_PROTOCOL": "sasl_ssl",
            "TOCSIN_KAFKA__SASL_MECHANISM": "PLAIN",
            "TOCSIN_KAFKA__SASL_USERNAME": "null",
            "TOCSIN_KAFKA__SASL_PASSWORD": '"12" ',
        }
        kafka = load_settings(None, environ).kafka
        assert kafka.sasl_username == "null"
        assert kafka.sasl_password == SecretStr('"12" ')

    @pytest.mark.parametrize(
        ("content", "value"), [("s3", "s3"), ("s3\n", "s3"), ("s3\r\n", "s3"), ("s3\n\n", "s3\n")]
    )
    def test_file_variable_drops_one_newline(self, tmp_path: Path, content: str, value: str) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(content.encode())
        settings = load_settings(
            None,
            {
                "TOCSIN_KAFKA__SECURITY_PROTOCOL": "sasl_ssl",
                "TOCSIN_KAFKA__SASL_MECHANISM": "PLAIN",
                "TOCSIN_KAFKA__SASL_USERNAME": "u",
                "TOCSIN_KAFKA__SASL_PASSWORD_FILE": str(secret),
            },
        )
        assert settings.kafka.sasl_password is not None
        assert settings.kafka.sasl_password.get_secret_value() == value

    def test_keys_are_read_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "keys").write_text(json.dumps([f"k1:{KEY}"]))
        keys = load_settings(None, {"TOCSIN_SECRETS__KEYS_FILE": str(tmp_path / "keys")}).secrets.keys
        assert [key.get_secret_value() for key in keys] == [f"k1:{KEY}"]

    def test_empty_variable_is_none_where_none_is_possible(self) -> None:
        settings = load_settings(None, {"TOCSIN_MATCHER__INSTANCE_ID": "", "TOCSIN_LOGGING__FORMAT": ""})
        assert settings.matcher.instance_id is None
        assert settings.logging.format is None
        assert load_settings(None, {"TOCSIN_TELEMETRY__LISTEN": ""}).telemetry.listen == ""

    def test_group_without_content_counts_as_left_out(self, tmp_path: Path) -> None:
        path = file_of(tmp_path, "kafka:\n  # bootstrap_servers: x:1\nsender:\n  tls:\n")
        assert load_settings(path, {}) == Settings()
        assert load_settings(file_of(tmp_path, ""), {}) == Settings()

    @pytest.mark.parametrize(
        "name", ["TOCSIN_HOME", "TOCSIN_TEST_BROKER", "TOCSIN_SECRET_SHOP__KEY", "OTHER__X"]
    )
    def test_other_names_are_left_alone(self, name: str) -> None:
        assert load_settings(None, {name: "x"}) == Settings()


class TestSecrets:
    def test_secrets_are_in_no_printed_form(self) -> None:
        properties = {"ssl.key.password": "hunter2", "ssl.key.pem": "hunter2", "debug": "all"}
        settings = load_settings(
            None,
            {
                "TOCSIN_KAFKA__SECURITY_PROTOCOL": "sasl_ssl",
                "TOCSIN_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
                "TOCSIN_KAFKA__SASL_USERNAME": "someone",
                "TOCSIN_KAFKA__SASL_PASSWORD": "hunter2",
                "TOCSIN_KAFKA__PROPERTIES": json.dumps(properties),
                "TOCSIN_SECRETS__KEYS": json.dumps([f"k1:{KEY}"]),
                "TOCSIN_TELEMETRY__OTLP_HEADERS": '{"Authorization": "Bearer hunter2"}',
            },
        )
        dumped = settings.model_dump(mode="json")
        for shown in (repr(settings), str(settings), repr(settings.model_dump()), json.dumps(dumped)):
            assert "hunter2" not in shown
            assert KEY not in shown
            assert "someone" in shown
        assert dumped["kafka"]["sasl_password"] == "***"
        assert dumped["kafka"]["properties"] == {
            "ssl.key.password": "***",
            "ssl.key.pem": "***",
            "debug": "all",
        }
        assert dumped["secrets"]["keys"] == ["k1:***"]
        assert dumped["telemetry"]["otlp_headers"] == {"Authorization": "***"}
        assert settings.telemetry.otlp_headers["Authorization"] == SecretStr("Bearer hunter2")
        assert settings.kafka.properties["ssl.key.password"] == "hunter2"

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("http://someone:hunter2@proxy:3128", "http://***@proxy:3128"),
            ("https://someone@proxy/", "https://***@proxy"),
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://[::1]:3128", "http://[::1]:3128"),
        ],
    )
    def test_of_a_proxy_the_credentials_are_hidden(self, tmp_path: Path, text: str, shown: str) -> None:
        (tmp_path / "proxy").write_text(f"{text}\n")
        settings = load_settings(None, {"TOCSIN_SENDER__EGRESS__PROXY_FILE": str(tmp_path / "proxy")})
        assert settings.sender.egress.proxy == SecretStr(text)
        assert settings.model_dump(mode="json")["sender"]["egress"]["proxy"] == shown
        for printed in (repr(settings), str(settings), repr(settings.model_dump())):
            assert "someone" not in printed
            assert "hunter2" not in printed


class TestNames:
    def test_every_name_has_the_prefix(self) -> None:
        settings = load_settings(None, {"TOCSIN_TOPICS__PREFIX": "shop_"})
        topics = settings.topics
        assert topics.rules == "shop_trigger-rules"
        assert topics.jobs == "shop_webhook-jobs"
        assert topics.retry(timedelta(seconds=60)) == "shop_webhook-jobs.retry.1m"
        assert topics.retry(timedelta(seconds=90)) == "shop_webhook-jobs.retry.90s"
        assert topics.dead == "shop_webhook-jobs.dead"
        assert topics.deliveries == "shop_webhook-deliveries"
        assert topics.events_dead == "shop_events.dead"
        assert topics.group("matcher") == "shop_matcher"
        assert all(name.startswith("shop_") for name in settings.output_topics)
        assert len(settings.output_topics) == 12

    def test_tiers_are_the_distinct_delays_and_always_5s(self) -> None:
        environ = {"TOCSIN_SENDER__RETRY_SCHEDULE": '["10m", "60s", "1m"]'}
        sender = load_settings(None, environ).sender
        assert sender.tiers == (timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=10))
        assert sender.retry_schedule == (timedelta(minutes=10), timedelta(minutes=1), timedelta(minutes=1))

    @pytest.mark.parametrize(
        ("text", "start"),
        [
            ("earliest", "earliest"),
            ("2026-11-23T10:00:00Z", datetime(2026, 11, 23, 10, tzinfo=UTC)),
            ("2026-11-23t12:00:00.5+02:00", datetime(2026, 11, 23, 10, 0, 0, 500_000, tzinfo=UTC)),
        ],
    )
    def test_start_is_a_word_or_a_time(self, tmp_path: Path, text: str, start: object) -> None:
        settings = load_settings(None, {"TOCSIN_MATCHER__START_FROM": text})
        assert settings.matcher.start_from == start
        shown = settings.model_dump(mode="json")["matcher"]["start_from"]
        again = load_settings(file_of(tmp_path, f"matcher: {{start_from: {shown}}}"), {})
        assert again.matcher.start_from == start

    @pytest.mark.parametrize("listen", ["", "127.0.0.1:0", "localhost:9464", "[::]:9464"])
    def test_listen_addresses(self, listen: str) -> None:
        assert load_settings(None, {"TOCSIN_TELEMETRY__LISTEN": listen}).telemetry.listen == listen

    @pytest.mark.parametrize(
        "servers", ["a", "a:1, b.example:9093", "[::1]:9092", "SSL://a:1", "10.0.0.1:9092"]
    )
    def test_bootstrap_servers(self, servers: str) -> None:
        settings = load_settings(None, {"TOCSIN_KAFKA__BOOTSTRAP_SERVERS": servers})
        assert settings.kafka.bootstrap_servers == servers.replace(" ", "")

    def test_settings_are_fixed_once_read(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            Settings().topics.prefix = "x."


class TestReference:
    def test_documented_file_says_what_the_model_says(self) -> None:
        assert CONFIG_FILE.read_text(encoding="utf-8") == config_file(), (
            "python -m tests.support.settings_reference"
        )

    def test_documented_file_is_all_defaults_and_complete(self) -> None:
        assert load_settings(CONFIG_FILE, {}) == Settings()
        tree: Any = yaml.safe_load(CONFIG_FILE.read_text(encoding="utf-8"))
        for setting in settings_of(Settings):
            value = tree
            for name in setting.path:
                value = value[name]

    def test_settings_table_says_what_the_model_says(self) -> None:
        assert DOCS_FILE.read_text(encoding="utf-8") == docs_file(), (
            "python -m tests.support.settings_reference"
        )

    def test_every_setting_says_what_it_means(self) -> None:
        assert [s.name for s in settings_of(Settings) if not s.field.description] == []

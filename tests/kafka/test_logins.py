"""Every way to log in, on a Kafka that asks for one: a topic is made, looked at, written and read with it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import ScramMechanism

from processor.cli.main import main
from tests.support.brokers import wanted_broker
from tests.support.guarded_broker import PASSWORD, GuardedBroker
from tests.support.java_broker import missing
from tests.support.logs import logging_as_before
from tests.support.reaper import REAPER
from tests.support.rules import fields
from tests.support.topics import create_topic
from tests.support.unsecured_tokens import handing_out, unsecured

pytestmark = pytest.mark.real_kafka

SECRET = "client-secret-9c1e"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    if wanted_broker() not in ("java", "auto") or missing() is not None:
        pytest.skip("needs Apache Kafka as a child process: it has to be set up with logins")
    directory = tmp_path_factory.mktemp("guarded-broker")
    REAPER.adopt("directory", directory)
    broker = GuardedBroker(directory)
    try:
        broker.start()
        broker.allow("topic", "app.", ["CREATE", "READ", "WRITE", "ALTER", "ALTER_CONFIGS"])
        broker.allow("transactional_id", "app.", ["WRITE"])
        create_topic(broker.bootstrap, "event-log", 1)
        broker.allow("topic", "event-log", ["DESCRIBE", "DESCRIBE_CONFIGS"], prefixed=False)
        yield broker
    finally:
        broker.close()
        REAPER.release("directory", directory)


class Client:
    """Runs commands with these settings of `kafka`, as environment variables have them."""

    def __init__(self, captured: pytest.CaptureFixture[str], kafka: Mapping[str, str], prefix: str) -> None:
        self._captured = captured
        self._environ = {f"TOCSIN_KAFKA__{name.upper()}": value for name, value in kafka.items()}
        self._environ |= {"TOCSIN_TOPICS__PREFIX": prefix, "TOCSIN_TOPICS__PARTITIONS": "1"}

        self.err = ""

    def run(self, *command: str, expect: int = 0) -> str:
        with logging_as_before():
            code = main([*command, "--log-format", "json"], self._environ)
        out, err = self._captured.readouterr()
        assert code == expect, out + err
        assert PASSWORD not in out + err
        assert SECRET not in out + err
        self.err = err
        return out

    def works(self, tmp_path: Path) -> None:
        """Writes and reads a table in transactions, through every kind of client that there is."""
        self.run("topics", "apply")
        file = tmp_path / "rule.yaml"
        file.write_text(json.dumps(fields("r", action_target="http://127.0.0.1:9/x")))
        assert "created" in self.run("rules", "apply", "-f", str(file))
        assert json.loads(self.run("rules", "list", "-o", "json"))[0]["rule"]["name"] == "r"

    def is_refused(self) -> str:
        """What the doctor says that has to be mended."""
        found = json.loads(self.run("doctor", "--timeout", "1s", "-o", "json", expect=1))
        assert [one["check"] for one in found if one["status"] == "wrong"] == ["connection"]
        remedy: str = found[0]["remedy"]
        return remedy


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_with_a_password(
    guarded: GuardedBroker, mechanism: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if mechanism != "PLAIN":
        guarded.add_scram_user("app", ScramMechanism[mechanism.replace("-", "_")])
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    kafka = {
        "bootstrap_servers": guarded.sasl_address,
        "security_protocol": "sasl_plaintext",
        "sasl_mechanism": mechanism,
        "sasl_username": "app",
        "sasl_password_file": str(password),
    }
    Client(capsys, kafka, f"app.{mechanism}.").works(tmp_path)
    password.write_text("another")
    assert "correct kafka.sasl_username" in Client(capsys, kafka, "app.").is_refused()


def test_with_a_certificate(
    guarded: GuardedBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = str(guarded.authority.issue("app"))
    kafka = {
        "bootstrap_servers": guarded.tls_address,
        "security_protocol": "ssl",
        "ssl_ca": str(guarded.authority.path),
        "ssl_certificate": both,
        "ssl_key": both,
    }
    Client(capsys, kafka, "app.tls.").works(tmp_path)
    without = {name: value for name, value in kafka.items() if name not in {"ssl_certificate", "ssl_key"}}
    assert "ssl_certificate" in Client(capsys, without, "app.").is_refused()


def test_with_a_token_for_client_credentials(
    guarded: GuardedBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    with handing_out("app", "tocsin", SECRET) as endpoint:
        kafka = {
            "bootstrap_servers": guarded.sasl_address,
            "security_protocol": "sasl_plaintext",
            "sasl_mechanism": "OAUTHBEARER",
            "oauth_token_endpoint": endpoint.url,
            "oauth_client_id": "tocsin",
            "oauth_client_secret_file": str(secret),
            "oauth_scope": "kafka",
        }
        Client(capsys, kafka, "app.oidc.").works(tmp_path)
        assert {form["grant_type"] for form in endpoint.asked} == {"client_credentials"}
        assert {form["scope"] for form in endpoint.asked} == {"kafka"}
        secret.write_text("another")
        remedy = Client(capsys, kafka, "app.").is_refused()
        assert endpoint.refused > 0
    assert "correct kafka.oauth_token_endpoint" in remedy


def test_with_a_token_from_a_function(
    guarded: GuardedBroker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kafka = {
        "bootstrap_servers": guarded.sasl_address,
        "security_protocol": "sasl_plaintext",
        "sasl_mechanism": "OAUTHBEARER",
        "oauth_callback": f"{__name__}:token_for",
        "properties": json.dumps({"sasl.oauthbearer.config": "app"}),
    }
    Client(capsys, kafka, "app.callback.").works(tmp_path)
    failing = Client(capsys, {**kafka, "oauth_callback": f"{__name__}:no_token"}, "app.")
    assert failing.run("doctor", expect=1) == ""
    assert failing.err.splitlines()[-1] == (
        f"tocsin: kafka.oauth_callback: {__name__}:no_token gives no token:"
        " LookupError: nobody is logged in here"
    )


def token_for(config: str) -> tuple[str, float]:
    """A token for the user that the property names."""
    return unsecured(config)


def no_token(config: str) -> tuple[str, float]:
    raise LookupError("nobody is logged in here")

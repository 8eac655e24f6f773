"""OAUTHBEARER: settings that fit together, tokens from a function, and the one for Amazon MSK."""

import base64
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from processor.cli.main import main
from processor.kafka.config import client_config
from processor.kafka.tokens import TokenCallback, token_callback
from processor.lifecycle import Refused
from processor.settings import KafkaSettings, SettingsError, load_settings
from tests.support.logs import logging_as_before

ENDPOINT = "https://login.example.com/oauth2/token"
SASL = {"TOCSIN_KAFKA__SECURITY_PROTOCOL": "sasl_ssl", "TOCSIN_KAFKA__SASL_MECHANISM": "OAUTHBEARER"}


def variables(**kafka: str) -> dict[str, str]:
    return {**SASL, **{f"TOCSIN_KAFKA__{name.upper()}": value for name, value in kafka.items()}}


def test_client_credentials_become_librdkafka_properties(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    given = variables(
        oauth_token_endpoint=ENDPOINT,
        oauth_client_id="tocsin",
        oauth_client_secret_file=str(secret),
        oauth_scope="kafka",
    )

    config = client_config(load_settings(None, given).kafka, "c")

    assert {name: value for name, value in config.items() if name.startswith("sasl.")} == {
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": ENDPOINT,
        "sasl.oauthbearer.client.id": "tocsin",
        "sasl.oauthbearer.client.secret": "hush",
        "sasl.oauthbearer.scope": "kafka",
    }
    assert "oauth_cb" not in config
    assert "hush" not in repr(load_settings(None, given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "kafka.oauth_token_endpoint (not set): is needed with sasl_mechanism OAUTHBEARER"),
        ({"oauth_client_id": "x"}, "oauth_token_endpoint (not set): is needed with kafka.oauth_client_id"),
        ({"oauth_token_endpoint": ENDPOINT}, "oauth_client_id (not set): is needed with"),
        (
            {"oauth_token_endpoint": ENDPOINT, "oauth_client_id": "x"},
            "oauth_client_secret (not set): is needed with kafka.oauth_token_endpoint",
        ),
        ({"oauth_token_endpoint": "login.example.com", "oauth_client_id": "x"}, "must be a URL"),
        ({"oauth_callback": "a:b", "oauth_scope": "x"}, "has no effect beside kafka.oauth_callback"),
        ({"oauth_callback": "just.a.module"}, "must be module:function"),
        ({"oauth_callback": "a b:c"}, "must be module:function"),
        ({"oauth_callback": "a:b", "sasl_username": "x"}, "has no effect with sasl_mechanism OAUTHBEARER"),
        ({"sasl_mechanism": "GSSAPI", "oauth_scope": "x"}, "set kafka.sasl_mechanism to OAUTHBEARER"),
        (
            {"properties": '{"sasl.oauthbearer.client.secret": "hush"}'},
            "sasl.oauthbearer.client.secret has a setting of its own; set kafka.oauth_client_secret",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_one_clear_error(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as failure:
        load_settings(None, variables(**given))
    assert said in str(failure.value)
    assert "hush" not in str(failure.value)


def test_what_librdkafka_can_do_by_itself_needs_no_setting() -> None:
    given = variables(properties='{"enable.sasl.oauthbearer.unsecure.jwt": true}')
    assert load_settings(None, given).kafka.sasl_mechanism == "OAUTHBEARER"


class Function:
    """Gives numbered tokens that last `seconds`, or raises."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[str] = []
        self.fails = False

    def __call__(self, config: str) -> tuple[Any, ...]:
        self.asked.append(config)
        if self.fails:
            raise LookupError("nobody\nsecond line")
        return f"token-{len(self.asked)}", time.time() + self.seconds, "principal", {"a": "b"}


def test_clients_share_a_token_until_most_of_its_time_is_over() -> None:
    lasting, short = Function(1_000), Function(0)
    callback = TokenCallback("m:f", lasting)
    assert [callback("a")[0], callback("a")[0], callback("b")[0]] == ["token-1", "token-1", "token-2"]
    assert lasting.asked == ["a", "b"]
    assert callback("a")[2:] == ("principal", {"a": "b"})
    again = TokenCallback("m:f", short)
    assert [again("")[0], again("")[0]] == ["token-1", "token-2"]


def test_a_function_that_gives_no_token_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    function = Function(1_000)
    function.fails = True
    callback = TokenCallback("m:f", function)
    with pytest.raises(Refused, match=r"^kafka.oauth_callback: m:f gives no token: LookupError: nobody$"):
        callback.require("")
    (record,) = caplog.records
    assert record.fields == {"callback": "m:f", "reason": "LookupError: nobody"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", ["nonsense", ("token",), ("token", "soon"), None])
def test_a_function_that_gives_something_else_is_refused(wrong: object) -> None:
    with pytest.raises(Refused, match="m:f gives no token"):
        TokenCallback("m:f", lambda _: wrong).require("")  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:token", "no_such_module can't be imported"),
        ("time:no_such_function", "time has no no_such_function"),
        ("time:tzname", "time:tzname is not a function"),
    ],
)
def test_config_check_finds_a_function_that_is_not_there(
    name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_as_before():
        assert main(["config", "check"], variables(oauth_callback=name)) == 2
    assert said in capsys.readouterr().err


def test_msk_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "processor.kafka.msk", raising=False)
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)
    token_callback.cache_clear()
    with pytest.raises(SettingsError, match=r"install tocsin\[msk\]"):
        token_callback("processor.kafka.msk:token")


@pytest.mark.parametrize("by", ["AWS_REGION", "config"])
def test_msk_signs_a_token_for_the_region(monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    given: dict[str, Any] = {
        "security_protocol": "sasl_ssl",
        "sasl_mechanism": "OAUTHBEARER",
        "oauth_callback": "processor.kafka.msk:token",
    }
    if by == "config":
        given["properties"] = {"sasl.oauthbearer.config": "eu-central-1"}
    token_callback.cache_clear()
    if by != "config":
        with pytest.raises(Refused, match="no region: set AWS_REGION"):
            client_config(KafkaSettings.model_validate(given), "c")
        monkeypatch.setenv(by, "eu-central-1")

    config = client_config(KafkaSettings.model_validate(given), "c")

    token, ends_at = config["oauth_cb"](config.get("sasl.oauthbearer.config", ""))
    signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    assert signed.startswith("https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect")
    assert "AKIDEXAMPLE" in signed
    assert "aws-secret" not in signed
    assert 0 < ends_at - time.time() <= 900
    token_callback.cache_clear()

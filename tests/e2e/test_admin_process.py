"""The admin API as a process: how it starts, what it refuses to start with, TLS, and where it runs beside."""

import json
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.support.admin import TOKENS, WRITER, Api, admin_settings, run_admin
from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.processes import Spawn, run_tocsin
from tests.support.settings import settings_for
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

NOWHERE = "127.0.0.1:1"


def test_without_a_token_it_does_not_start(tmp_path: Path) -> None:
    settings = settings_for(NOWHERE, "t.")
    code, _, err = run_tocsin("run", "admin", settings=settings, directory=tmp_path)
    assert code == 2
    assert "admin.tokens (not set)" in err
    assert "Traceback" not in err


def test_a_taken_port_is_said_in_one_line(tmp_path: Path, spawn: Spawn) -> None:
    settings = settings_for(NOWHERE, "t.", admin=admin_settings())
    spawn("run", "admin", settings=settings).wait_log("listening.*" + settings["admin"]["listen"])
    other = settings_for(NOWHERE, "t.", admin=settings["admin"])
    code, _, err = run_tocsin("run", "admin", settings=other, directory=tmp_path)
    assert code == 1
    assert "tocsin: admin.listen: cannot listen on" in err
    assert "Traceback" not in err


def test_without_a_broker_it_is_alive_and_not_ready(spawn: Spawn) -> None:
    settings = settings_for(NOWHERE, "t.", admin=admin_settings())
    process = spawn("run", "admin", settings=settings)
    process.wait_log("listening.*" + settings["admin"]["listen"])
    status, body = process.get("/readyz")
    assert status == 503
    checks = json.loads(body)["checks"]
    assert checks["admin.listening"] is None
    assert checks["admin.table"]
    assert process.get("/healthz")[0] == 200
    assert Api(settings["admin"]["listen"]).get("/trigger-rules").status == 503
    assert process.stop() == 0


def test_tls(tmp_path: Path, spawn: Spawn) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    tls = {"certificate": str(certificate), "key": str(key)}
    settings = settings_for(NOWHERE, "t.", admin=admin_settings(tls=tls))
    address = settings["admin"]["listen"]
    spawn("run", "admin", settings=settings).wait_log("listening.*" + address)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with urllib.request.urlopen(
        f"https://{address}/api/v1/openapi.json", context=trusting, timeout=10
    ) as got:
        assert got.status == 200
        assert got.headers["Strict-Transport-Security"]
    with pytest.raises(OSError, match=r"EOF|reset|wrong version|refused|closed"):
        Api(address).get("/openapi.json")
    wrong = settings_for(NOWHERE, "t.", admin=admin_settings(tls={"certificate": str(key)}))
    code, _, err = run_tocsin("run", "admin", settings=wrong, directory=tmp_path)
    assert code == 1
    assert "admin.tls.certificate" in err


def test_run_all_has_it_where_it_has_tokens(
    broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path
) -> None:
    create_topic(broker.bootstrap, f"{prefix}event-log", 1)
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(f"ops: {TOKENS['ops']}\n")
    with Installation(broker.bootstrap, prefix) as here:
        without = spawn("run", "all", settings=here.settings())
        assert "admin.tokens" in without.wait_log("the admin API is off")
        without.stop()
        settings = here.settings(admin=admin_settings(tokens={}, tokens_file=str(tokens)))
        process = spawn("run", "all", settings=settings).wait_ready()
        checks = json.loads(process.get("/readyz")[1])["checks"]
        assert {name.partition(".")[0] for name in checks} == {"matcher", "sender", "admin"}
        api = Api(settings["admin"]["listen"], WRITER)
        assert api.get("/trigger-rules").json == {"items": [], "next": None}
        tokens.write_text("ops: quite-another-token\n")
        wait_until(lambda: api.get("/trigger-rules").status == 401, 10, "the old token holds no longer")
        assert api.with_token("quite-another-token").get("/trigger-rules").status == 200
        assert process.stop() == 0


def test_a_write_in_hand_is_finished_when_it_is_stopped(broker: Broker, prefix: str, spawn: Spawn) -> None:
    with Installation(broker.bootstrap, prefix) as here:
        settings = here.settings(admin=admin_settings())
        process, api = run_admin(spawn, settings)
        assert api.get("/trigger-rules").status == 200
        assert process.stop() == 0
        assert "drained" in process.log()

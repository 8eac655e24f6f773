"""After a session over the API, the commands and a sender, no known secret is found anywhere but sealed."""

import base64
import json
import re
import urllib.parse
from pathlib import Path

from tests.support.admin import READER, WRITER, admin_settings, run_admin
from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.processes import Spawn, run_tocsin
from tests.support.receiver import Answer, Receiver
from tests.support.records import Record, produce, read_all
from tests.support.rules import KEY, fields
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

SIGNING = "signing/secret+7f3a91c04be2"
PATH = "/hook/path-credential-b81f64d20c"
HEADER = "header credential d4c2e9a05f"


def forms(secret: str) -> list[bytes]:
    """A secret as it is, URL-encoded, in base64 at each of its three alignments, and in halves."""
    raw = secret.encode()
    found = {raw, urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode()}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        # Without the characters at either end that share bits with what stands beside it.
        found.add(encoded[-(-shift * 8 // 6) + (1 if shift else 0) : len(encoded) // 4 * 4 - 4])
    found |= {raw[: len(raw) // 2], raw[len(raw) // 2 :]}
    assert all(len(form) >= 8 for form in found), found
    return sorted(found)


SECRETS = {
    form: secret
    for secret in (SIGNING, PATH, HEADER, WRITER, READER, KEY.partition(":")[2])
    for form in forms(secret)
}


def leaks(text: bytes) -> set[str]:
    return {secret for form, secret in SECRETS.items() if form in text}


def test_the_scan_finds_what_it_looks_for() -> None:
    for secret in (SIGNING, PATH, HEADER):
        for text in (
            f"x={secret};".encode(),
            urllib.parse.quote(f"http://h/{secret}?", safe="").encode(),
            *(base64.b64encode(b"z" * n + secret.encode() + b"zz") for n in range(3)),
            secret.encode()[: len(secret) // 2],
        ):
            assert secret in leaks(text), text


def test_no_secret_leaves_but_sealed(
    broker: Broker, prefix: str, spawn: Spawn, receiver: Receiver, tmp_path: Path
) -> None:
    create_topic(broker.bootstrap, f"{prefix}event-log", 1)
    keys = {"secrets": {"keys": [KEY]}, "sender": {"retry_schedule": ["1s"]}}
    with Installation(broker.bootstrap, prefix, **keys) as here:
        receiver.answer(PATH, Answer(503))
        secrets = {
            "action_target": {"secret": receiver.url(PATH)},
            "action_secret": SIGNING,
            "delivery": {"headers": {"X-Key": {"secret": HEADER}}},
        }
        settings = here.settings(admin=admin_settings())
        admin, api = run_admin(spawn, settings)
        roles = [spawn("run", role, settings=here.settings()).wait_ready() for role in ("matcher", "sender")]
        answers = [api.post("/trigger-rules", fields("api", **secrets))]
        assert answers[0].status == 201
        path = f"/trigger-rules/{answers[0].json['id']}"
        for wrong in (
            {"action_target": {"secret": f"ftp://x{PATH}"}},
            {"action_secret": {"secret": SIGNING, "more": SIGNING}},
            {"action_secret": [SIGNING, {"secret": SIGNING, "not_after": HEADER}]},
            {"delivery": {"headers": {"X-Key": {"secret": HEADER + "\n"}}}},
            {"action_target": f"http://10.0.0.1{PATH}"},
            {"action_secret": 7, "labels": {"a": {"b": SIGNING}}},
        ):
            answers.append(api.ask("PATCH", path, wrong))
            assert answers[-1].status == 422, answers[-1]
        answers += [
            api.ask("PUT", path, {**api.get(path).json, "description": "x"}),
            api.ask("POST", f"{path}/test"),
            api.with_token(READER).ask("DELETE", path),
            api.with_token(WRITER[:-1] + "x").get(path),
        ]
        produce(broker.bootstrap, f"{prefix}event-log", [Record(b'{"message":"m"}')])
        wait_until(lambda: len(here.audit()) >= 1, 30, "it is delivered")
        wait_until(lambda: here.audit()[-1]["outcome"] == "delivered", 30, "it is delivered")
        job_id = here.audit()[0]["job_id"]
        wait_until(lambda: api.get(f"/deliveries/{job_id}").json["state"] == "delivered", 30)
        answers += [
            api.get(route)
            for route in (
                path,
                "/trigger-rules",
                "/deliveries",
                f"/deliveries/{job_id}",
                "/status",
                "/openapi.json",
            )
        ]
        rule_file = tmp_path / "rule.json"
        rule_file.write_text(json.dumps(fields("cli", **secrets)))
        said = []
        for arguments in (
            ("rules", "apply", "-f", str(rule_file)),
            ("rules", "list", "-o", "json"),
            ("rules", "get", "cli", "-o", "json"),
            ("rules", "export"),
            ("deliveries", "get", job_id, "-o", "json"),
            ("config", "show"),
        ):
            code, out, err = run_tocsin(*arguments, settings=settings, directory=tmp_path)
            assert code == 0, err
            said.append(out + err)
        assert receiver.requests(), "the receiver got the secrets"
        assert receiver.requests()[0].headers["x-key"] == HEADER

        for answer in answers:
            assert not leaks(answer.body + repr(answer.headers).encode()), answer
        for text in said:
            assert not leaks(text.encode()), text
        for process in (admin, *roles):
            assert not leaks(process.log().encode()), process.name
            for telemetry in ("/metrics", "/status", "/readyz"):
                assert not leaks(process.get(telemetry)[1].encode()), telemetry
        sealed = 0
        for topic in here.model.output_topics:
            for record in read_all(here.bootstrap, topic):
                stored = (record.key or b"") + (record.value or b"") + repr(record.headers).encode()
                assert not leaks(stored), (topic, record)
                sealed += len(re.findall(rb"sealed:k1:", stored))
        assert sealed >= 6

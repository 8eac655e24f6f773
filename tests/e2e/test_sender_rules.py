"""What becomes of a job by its rule as it is when the job is due: cancelled, held, signed, impossible."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from processor.rules.sealing import KeyRing, new_key
from tests.support.brokers import Broker
from tests.support.installation import headers_of, now_ms
from tests.support.sender_site import SenderSite, sender_site
from tests.support.waiting import wait_until

KEY = new_key("k1")
FROM_ENVIRONMENT = "whsec_ZnJvbS10aGUtZW52aXJvbm1lbnQ="
FROM_FILE = "whsec_ZnJvbS1hLWZpbGU="


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("secrets")
    (directory / "hook").write_text(FROM_FILE + "\n")
    return directory


@pytest.fixture(scope="module")
def site(broker: Broker, tmp_path_factory: pytest.TempPathFactory, secrets: Path) -> Iterator[SenderSite]:
    with sender_site(
        broker,
        tmp_path_factory.mktemp("sender"),
        env={"TOCSIN_SECRET_HOOK": FROM_ENVIRONMENT},
        sender={"retry_schedule": ["1s", "2s"]},
        secrets={"keys": [KEY], "directory": str(secrets)},
    ) as running:
        yield running


def cancelled(site: SenderSite, rule_id: int, uid: str = "") -> dict[str, object]:
    job = site.here.add_job(rule_id, uid=uid)
    (record,) = site.here.wait_audit(job, "cancelled")
    assert (record["stage"], record["status"], record["next_attempt_at_ms"]) == (None, None, None)
    assert (record["attempt"], record["duration_ms"]) == (1, 0)
    assert site.here.dead(job) == []
    return record


def test_job_of_a_deleted_rule_is_cancelled(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url)
    site.here.put_rule_record(hook.rule_id, None)
    record = cancelled(site, hook.rule_id)
    assert (record["reason"], record["rule_name"], record["origin"]) == ("deleted", "", "")
    assert site.receiver.requests(hook.path) == []


def test_job_of_a_disabled_rule_is_cancelled(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url, enabled=False)
    record = cancelled(site, hook.rule_id)
    assert (record["reason"], record["rule_name"]) == ("disabled", f"rule-{hook.rule_id}")


def test_job_of_another_rule_under_the_same_id_is_cancelled(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url, uid="01JB")
    record = cancelled(site, hook.rule_id, uid="01JA")
    assert (record["reason"], record["rule_uid"]) == ("replaced", "01JA")
    assert site.receiver.requests(hook.path) == []
    site.here.wait_audit(site.here.add_job(hook.rule_id, uid="01JB"), "delivered")


def test_job_of_a_muted_rule_is_cancelled(site: SenderSite) -> None:
    hook = site.hook()
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    site.here.put_rule(hook.rule_id, hook.url, muted_until=until)
    assert cancelled(site, hook.rule_id)["reason"] == "muted"


def test_job_of_a_rule_that_was_muted_is_sent(site: SenderSite) -> None:
    hook = site.hook()
    until = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    site.here.put_rule(hook.rule_id, hook.url, muted_until=until)
    site.here.wait_audit(site.here.add_job(hook.rule_id), "delivered")


def test_job_that_waits_for_its_retry_is_cancelled_when_its_rule_goes(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, "http://127.0.0.1:1/x")
    job = site.here.add_job(hook.rule_id)
    site.here.wait_audit(job, "failed")
    site.here.put_rule_record(hook.rule_id, None)
    _, record = site.here.wait_audit(job, "failed", "cancelled")
    assert (record["reason"], record["attempt"]) == ("deleted", 2)


def test_paused_rule_holds_its_job_and_lets_it_go_when_it_is_not_paused_any_more(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url, paused=True)
    job = site.here.add_job(hook.rule_id)
    (record,) = site.here.wait_audit(job, "deferred")
    assert (record["error"], record["reason"], record["attempt"]) == ("paused", None, 1)
    assert record["next_attempt_at_ms"] == record["started_at_ms"] + 1_000
    # It climbs: 1 s, 2 s, then the 5 s tier that there always is.
    wait_until(lambda: site.here.moved("5s", job), 20, "it has climbed to the 5 s tier")
    climb = [site.here.moved(tier, job)[0] for tier in ("1s", "2s", "5s")]
    assert [headers_of(hop)["tocsin-deferrals"] for hop in climb] == ["1", "2", "3"]
    assert {headers_of(hop)["tocsin-attempt"] for hop in climb} == {"1"}
    assert site.receiver.requests(hook.path) == []
    site.here.put_rule(hook.rule_id, hook.url)
    records = site.here.wait_audit(job, "deferred", "delivered")
    assert records[1]["attempt"] == 1
    (request,) = site.receiver.requests(hook.path)
    assert request.webhook_id == job.id


def test_invalid_version_of_a_rule_holds_its_jobs_until_it_is_mended(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url, filter_message_regex="(")
    job = site.here.add_job(hook.rule_id)
    (record,) = site.here.wait_audit(job, "deferred")
    assert record["error"].startswith("invalid: filter_message_regex")
    assert (record["rule_name"], record["reason"]) == ("", None)
    site.here.put_rule(hook.rule_id, hook.url)
    site.here.wait_audit(job, "deferred", "delivered")


def test_job_waits_for_the_version_of_the_rules_that_it_was_judged_by(site: SenderSite) -> None:
    hook = site.hook()
    job = site.here.job_judged_later(hook.rule_id)
    site.here.add([job])
    wait_until(lambda: site.sender.status()["sender"]["jobs"]["rules"] == 1, message="it waits for the rules")
    assert site.here.audit(job) == []
    site.here.put_rule(hook.rule_id, hook.url)
    site.here.wait_audit(job, "delivered")


@pytest.mark.parametrize(
    ("secret", "plain"),
    [
        ({"ref": "env:TOCSIN_SECRET_HOOK"}, FROM_ENVIRONMENT),
        ({"ref": "file:hook"}, FROM_FILE),
        ({"secret": "whsec_dW5zZWFsZWQ="}, "whsec_dW5zZWFsZWQ="),
    ],
    ids=["environment", "file", "unsealed"],
)
def test_signature_is_made_with_the_secret_behind_the_rule(
    site: SenderSite, secret: dict[str, str], plain: str
) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url, action_secret=secret)
    site.here.add_job(hook.rule_id)
    (request,) = site.receiver.wait_for(1, path=hook.path)
    assert Webhook(plain).verify(request.body.decode(), dict(request.headers)) == json.loads(request.body)


def test_sealed_target_secret_and_headers_are_opened_for_the_request_alone(site: SenderSite) -> None:
    hook = site.hook()
    ring = KeyRing.parse([KEY])

    def sealed(plain: str) -> dict[str, str]:
        return {"secret": ring.seal(plain, hook.rule_id)}

    plain = "whsec_c2VhbGVkLXNlY3JldA=="
    site.here.put_rule_record(
        hook.rule_id,
        json.dumps(
            {
                "name": "sealed",
                "action_type": "webhook",
                "action_target": sealed(hook.url),
                "action_secret": sealed(plain),
                "delivery": {
                    "headers": {
                        "x-team": "shop",
                        "x-key": sealed("key-of-the-receiver"),
                        "x-token": {"ref": "env:TOCSIN_SECRET_HOOK"},
                    }
                },
            }
        ).encode(),
    )
    job = site.here.add_job(hook.rule_id)
    (record,) = site.here.wait_audit(job, "delivered")
    (request,) = site.receiver.requests(hook.path)
    assert Webhook(plain).verify(request.body.decode(), dict(request.headers))
    assert {name: request.headers[name] for name in ("x-team", "x-key", "x-token")} == {
        "x-team": "shop",
        "x-key": "key-of-the-receiver",
        "x-token": FROM_ENVIRONMENT,
    }
    said = json.dumps(record) + site.sender.log()
    for secret in (plain, "key-of-the-receiver", FROM_ENVIRONMENT, hook.path):
        assert secret not in said


@pytest.mark.parametrize(
    ("secret", "error"),
    [
        ({"ref": "env:TOCSIN_SECRET_MISSING"}, "the environment variable TOCSIN_SECRET_MISSING is not set"),
        ({"ref": "file:missing"}, "file:missing can't be read"),
        ({"secret": f"sealed:k9:{'A' * 60}"}, "is sealed with key k9, which is not in secrets.keys"),
    ],
    ids=["environment", "file", "other key"],
)
def test_secret_that_can_not_be_had_is_a_failed_attempt(
    site: SenderSite, secret: dict[str, str], error: str
) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url, action_secret=secret, delivery={"max_attempts": 1})
    job = site.here.add_job(hook.rule_id)
    (record,) = site.here.wait_audit(job, "dead")
    assert (record["reason"], record["stage"], record["attempt"]) == ("exhausted", "render", 1)
    assert error in record["error"]
    assert site.receiver.requests(hook.path) == []


def test_secret_that_turns_up_in_time_lets_the_job_go(site: SenderSite, secrets: Path) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url, action_secret={"ref": "file:late"})
    job = site.here.add_job(hook.rule_id)
    site.here.wait_audit(job, "failed")
    (secrets / "late").write_text("now")
    site.here.wait_audit(job, "failed", "delivered")


def test_job_matched_long_ago_and_held_for_30_days_is_given_up(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url, paused=True)
    long_ago = now_ms() - 30 * 24 * 3_600_000
    job = site.here.add_job(hook.rule_id, matched_at_ms=long_ago)
    (record,) = site.here.wait_audit(job, "dead")
    assert record["reason"] == "expired"
    assert headers_of(site.here.wait_dead(job))["tocsin-reason"] == "expired"

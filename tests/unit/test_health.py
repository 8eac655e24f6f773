"""Liveness by heartbeats, readiness by conditions; the clock is a number."""

import pytest

from processor.observability.health import Health, RoleChecks


def role(health: Health, name: str = "matcher") -> RoleChecks:
    return RoleChecks.register(health, name, loop_max_age=10.0, transaction_max_age=10.0)


def test_loop_that_beats_in_time_is_alive() -> None:
    health = Health()
    loop = health.heartbeat("matcher.loop", max_age=5.0)
    loop.beat(100.0)
    loop.beat(104.0)
    assert health.alive(109.0).as_json() == {"status": "ok", "checks": {"matcher.loop": None}}


def test_loop_that_hangs_is_not_alive_and_says_for_how_long() -> None:
    health = Health()
    health.heartbeat("matcher.loop", max_age=5.0).beat(100.0)
    reason = "no sign of life for 5.5 s, allowed are 5 s"
    assert health.alive(105.5).as_json() == {"status": "unavailable", "checks": {"matcher.loop": reason}}


def test_loop_that_turns_again_is_alive_again() -> None:
    health = Health()
    loop = health.heartbeat("matcher.loop", max_age=5.0)
    loop.beat(100.0)
    assert not health.alive(200.0).ok
    loop.beat(200.0)
    assert health.alive(201.0).ok


def test_loop_that_has_not_begun_is_alive() -> None:
    health = Health()
    health.heartbeat("matcher.loop", max_age=5.0)
    assert health.alive(1e9).ok


def test_waiting_for_a_broker_is_not_being_dead() -> None:
    health = Health()
    loop = health.heartbeat("matcher.loop", max_age=5.0)
    loop.beat(100.0)
    loop.rest()
    assert health.alive(1000.0).ok
    loop.beat(1000.0)
    assert not health.alive(1006.0).ok, "from the next beat on it is watched again"


def test_transaction_that_ended_is_not_watched_and_an_open_one_is() -> None:
    health = Health()
    checks = role(health)
    checks.loop.rest()
    checks.transaction.beat(100.0)
    assert not health.alive(110.5).ok
    checks.transaction.rest()
    assert health.alive(110.5).ok


def test_one_hanging_loop_of_several_is_named() -> None:
    health = Health()
    role(health, "matcher").loop.beat(100.0)
    role(health, "sender").loop.beat(120.0)
    verdict = health.alive(125.0)
    assert not verdict.ok
    assert [name for name, reason in verdict.checks.items() if reason] == ["matcher.loop"]


def test_role_is_ready_when_every_condition_is_met() -> None:
    health = Health()
    checks = role(health)
    for condition in (checks.broker, checks.table, checks.group, checks.offsets):
        assert not health.ready().ok
        condition.met()
    assert health.ready().as_json() == {
        "status": "ok",
        "checks": {
            "matcher.broker": None,
            "matcher.table": None,
            "matcher.group": None,
            "matcher.offsets": None,
        },
    }


def test_condition_that_fails_later_shows_its_reason_and_only_readiness_suffers() -> None:
    health = Health()
    freshness = health.condition("matcher.freshness", "not yet")
    freshness.met()
    assert health.ready().ok
    freshness.failed("waiting for offset 17 of tocsin.trigger-rules for 5 s")
    assert health.ready().checks == {
        "matcher.freshness": "waiting for offset 17 of tocsin.trigger-rules for 5 s"
    }
    assert not health.ready().ok
    assert health.alive(1e9).ok


def test_asked_condition_is_asked_each_time() -> None:
    health = Health()
    reasons = iter(["offset 3 of 7", None])
    health.ask("sender.table", lambda: next(reasons))
    assert health.ready().checks == {"sender.table": "offset 3 of 7"}
    assert health.ready().ok


def test_process_without_a_role_is_alive_and_not_ready() -> None:
    health = Health()
    assert health.alive(0.0).ok
    assert health.ready().as_json() == {
        "status": "unavailable",
        "checks": {"process": "no role has started yet"},
    }


def test_matcher_and_sender_of_one_process_are_both_needed() -> None:
    health = Health()
    for name in ("matcher", "sender"):
        checks = role(health, name)
        for condition in (checks.broker, checks.table, checks.group, checks.offsets):
            condition.met()
        assert health.ready().ok
    assert len(health.ready().checks) == 8
    checks.group.failed("the consumer group is not joined")
    assert not health.ready().ok


def test_name_that_is_taken_is_refused() -> None:
    health = Health()
    role(health)
    with pytest.raises(ValueError, match=r"matcher\.loop"):
        role(health)
    with pytest.raises(ValueError, match=r"matcher\.group"):
        health.condition("matcher.group", "not yet")


def test_heartbeat_without_an_allowed_age_is_refused() -> None:
    with pytest.raises(ValueError, match="max_age"):
        Health().heartbeat("matcher.loop", max_age=0.0)

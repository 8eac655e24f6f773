"""What is said of topics and brokers that would lose records, and how bad it is."""

import pytest

from processor.kafka.durability import Facts, concerns, forgetting

GOOD = {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}


def topic(replicas: int = 3, *, vital: bool = True, **config: str) -> Facts:
    named = {name.replace("_", "."): value for name, value in config.items()}
    return Facts("t", replicas, {**GOOD, **named}, vital)


def test_three_replicas_of_which_two_must_have_it_are_right() -> None:
    assert concerns(3, [topic(), topic(vital=False)], None) == []
    assert concerns(5, [topic(4, min_insync_replicas="3")], None) == []


@pytest.mark.parametrize(("brokers", "said"), [(1, "there is 1 broker:"), (2, "there are 2 brokers:")])
def test_few_brokers_are_one_warning(brokers: int, said: str) -> None:
    few = [topic(1, min_insync_replicas="1"), topic(1, min_insync_replicas="1")]
    (found,) = concerns(brokers, few, None)
    assert (found.severity, found.name) == ("warning", "brokers")
    assert found.reason.startswith(said)


@pytest.mark.parametrize(
    ("facts", "chosen", "severity", "said"),
    [
        (topic(1, min_insync_replicas="1"), None, "wrong", "replication is 1, should be 3: the loss of a"),
        (topic(2, min_insync_replicas="1"), None, "wrong", "replication is 2, should be 3: the loss of two"),
        (topic(2, min_insync_replicas="1"), 2, "warning", "replication is 2"),
        (topic(1, min_insync_replicas="1"), 2, "wrong", "replication is 1"),
        (topic(1, vital=False, min_insync_replicas="1"), None, "warning", "replication is 1"),
        (topic(min_insync_replicas="1"), None, "wrong", "min.insync.replicas is 1, should be 2"),
        (topic(vital=False, min_insync_replicas="1"), None, "warning", "min.insync.replicas is 1"),
        (topic(min_insync_replicas="3"), None, "warning", "one broker away stops writes"),
        (topic(min_insync_replicas="4"), None, "wrong", "no write is ever acknowledged"),
        (topic(unclean_leader_election_enable="true"), None, "wrong", "unclean.leader.election.enable"),
        (topic(vital=False, unclean_leader_election_enable="true"), None, "warning", "unclean.leader"),
    ],
)
def test_what_may_lose_records_is_named(facts: Facts, chosen: int | None, severity: str, said: str) -> None:
    (found,) = concerns(3, [facts], chosen)
    assert (found.severity, found.name) == (severity, "t")
    assert said in found.reason
    assert found.remedy


def test_a_broker_that_does_not_tell_is_not_blamed() -> None:
    assert concerns(3, [Facts("t", 0, {}, vital=True)], None) == []
    assert forgetting({}) is None
    assert forgetting({"offsets.retention.minutes": "10080"}) is None


def test_offsets_that_are_forgotten_soon_are_a_warning() -> None:
    found = forgetting({"offsets.retention.minutes": "1440"})
    assert found is not None
    assert found.severity == "warning"
    assert "longer than 1d forgets" in found.reason
    assert "offsets.retention.minutes=10080" in found.remedy

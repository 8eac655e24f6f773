"""Kafka's errors, classified."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from processor.kafka.errors import Kind, classify, error_of, not_a_member


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        # what passes by itself
        (KafkaError(KafkaError._TRANSPORT), Kind.RETRIABLE),
        (KafkaError(KafkaError._ALL_BROKERS_DOWN), Kind.RETRIABLE),
        (KafkaError(KafkaError._TIMED_OUT), Kind.RETRIABLE),
        (KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS), Kind.RETRIABLE),
        (KafkaError(KafkaError.NOT_COORDINATOR), Kind.RETRIABLE),
        (KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT), Kind.RETRIABLE),
        (KafkaError(KafkaError.CONCURRENT_TRANSACTIONS), Kind.RETRIABLE),
        (KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), Kind.RETRIABLE),
        (KafkaError(KafkaError._FAIL, retriable=True), Kind.RETRIABLE),
        # what only ends the transaction
        (KafkaError(KafkaError.ILLEGAL_GENERATION), Kind.ABORT),
        (KafkaError(KafkaError.UNKNOWN_MEMBER_ID), Kind.ABORT),
        (KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), Kind.ABORT),
        (KafkaError(KafkaError._FAIL), Kind.ABORT),
        (KafkaError(KafkaError._TIMED_OUT, txn_requires_abort=True), Kind.ABORT),
        # what ends the client
        (KafkaError(KafkaError._FENCED, fatal=True), Kind.FATAL),
        (KafkaError(KafkaError._TIMED_OUT, fatal=True, txn_requires_abort=True), Kind.FATAL),
        (KafkaError(KafkaError._FATAL), Kind.FATAL),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID), Kind.FATAL),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), Kind.FATAL),
        (KafkaError(KafkaError.UNSUPPORTED_VERSION), Kind.FATAL),
    ],
    ids=lambda value: value.name() if isinstance(value, KafkaError) else value.value,
)
def test_kind(error: KafkaError, kind: Kind) -> None:
    assert classify(error) is kind


def test_error_inside_the_clients_exception() -> None:
    error = KafkaError(KafkaError._TRANSPORT)
    assert error_of(KafkaException(error)) is error


def test_the_clients_usage_errors_carry_text() -> None:
    error = error_of(KafkaException("no such property"))
    assert error.code() == KafkaError._FAIL
    assert "no such property" in error.str()
    assert classify(error) is Kind.ABORT


def test_a_member_the_group_has_given_up() -> None:
    assert not_a_member(KafkaError(KafkaError.ILLEGAL_GENERATION))
    assert not_a_member(KafkaError(KafkaError.UNKNOWN_MEMBER_ID))
    assert not not_a_member(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))

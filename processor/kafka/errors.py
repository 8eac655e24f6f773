"""Kafka's errors, classified once: nobody outside this package looks at an error code.

KafkaFailure
├── BrokerUnavailable       no answer in time; trying again later may help
├── MembershipLost          the group has gone on without this member: it has to join again
├── TransactionAborted      certainly nothing of the transaction is or will be visible
│   ├── TransactionFenced   … because the group or the transactional id has gone on without this process
│   └── RecordTooLarge      … and this record of it can never be written
├── TransactionUncertain    the answer to the commit was lost: committed() on the group tells
└── FatalKafkaError         this client can't go on: the process ends and is started again
    └── NotAllowed          … for want of a right: somebody has to grant it
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

from confluent_kafka import KafkaError, KafkaException


class KafkaFailure(Exception):  # noqa: N818 - most of these are no errors of anybody's
    """Base of everything this package raises on purpose."""


class BrokerUnavailable(KafkaFailure):
    """No broker answered in time."""


class MembershipLost(KafkaFailure):
    """The group doesn't know this member (any more), or not in this generation."""


class TransactionAborted(KafkaFailure):
    """Nothing of the transaction was or will be committed."""


class TransactionFenced(TransactionAborted):
    """The partitions, or the transactional id, are another process's."""


class RecordTooLarge(TransactionAborted):
    """Record `index` of the transaction is larger than the topic takes; the transaction was aborted."""

    def __init__(self, index: int, topic: str) -> None:
        super().__init__(f"record {index} is too large for topic {topic}")
        self.index = index


class TransactionUncertain(KafkaFailure):
    """The transaction may or may not have been committed; its offsets tell."""


class FatalKafkaError(KafkaFailure):
    """The client can't recover (fenced instance id, no rights, unsupported broker)."""


class NotAllowed(FatalKafkaError):  # noqa: N818 - says what happened
    """A right is missing; the text names operation and resource."""


class Kind(Enum):
    """What to do about an error."""

    RETRIABLE = "retriable"
    ABORT = "abort"
    FATAL = "fatal"


_RETRIABLE = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._WAIT_COORD,
        KafkaError._WAIT_CACHE,
        KafkaError._IN_PROGRESS,
        KafkaError._PREV_IN_PROGRESS,
        KafkaError._RETRY,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._SSL,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.NOT_CONTROLLER,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)


_NOT_A_MEMBER = frozenset({KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID})


_FINAL = frozenset(
    {
        KafkaError._FATAL,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.INVALID_TXN_STATE,
        KafkaError.UNSUPPORTED_VERSION,
    }
)


def error_of(exception: KafkaException) -> KafkaError:
    """The KafkaError inside the client's exception."""
    error = exception.args[0]
    if not isinstance(error, KafkaError):  # the client's own usage errors carry text
        return KafkaError(KafkaError._FAIL, str(error))
    return error


def classify(error: KafkaError) -> Kind:
    """Retriable: the same call may be made again. Abort: the transaction must be. Fatal: the client ends."""
    if error.fatal() or error.code() in _FINAL:
        return Kind.FATAL
    if error.txn_requires_abort():
        return Kind.ABORT
    if error.retriable() or error.code() in _RETRIABLE:
        return Kind.RETRIABLE
    return Kind.ABORT


_FENCED = _NOT_A_MEMBER | {
    KafkaError._FENCED,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
}


def is_fenced(error: KafkaError) -> bool:
    """Whether a transaction was refused because somebody else acts for its partitions or its id."""
    return error.code() in _FENCED


_UNAUTHORIZED: Final[dict[int, Literal["topic", "group", "transactional-id"]]] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "transactional-id",
}


def unauthorized(error: KafkaError) -> Literal["topic", "group", "transactional-id"] | None:
    """The kind of resource that a right is missing on, if it is that."""
    return _UNAUTHORIZED.get(error.code())


def not_a_member(error: KafkaError) -> bool:
    """Whether the group refused a member that it has given up."""
    return error.code() in _NOT_A_MEMBER

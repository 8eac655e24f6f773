"""Outcomes and offsets on their way to Kafka: what a failed or doubtful transaction means for them.

The broker's part is played by scripted answers here; tests/e2e and tests/chaos have the real one.
"""

import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

import pytest
from prometheus_client import generate_latest

from processor.delivery.lanes import Lane, Lanes
from processor.delivery.ledger import Entry
from processor.delivery.writing import COMMIT_RECORDS, MOST_UNWRITTEN, Writer
from processor.kafka.errors import (
    BrokerUnavailable,
    FatalKafkaError,
    KafkaFailure,
    RecordTooLarge,
    TransactionAborted,
    TransactionFenced,
    TransactionUncertain,
)
from processor.kafka.records import Commit, OutRecord, Position
from processor.observability.health import Health, RoleChecks
from processor.observability.metrics import Metrics
from tests.support.lanes import lane, take

ABORTED = TransactionAborted("aborted")
UNCERTAIN = TransactionUncertain("no answer")


class Kafka:
    """Takes what the writer writes, or raises the next failure of the script."""

    def __init__(self, *script: KafkaFailure | None) -> None:
        self.script = list(script)
        self.written: list[list[bytes | None]] = []
        self.commits: dict[Position, Commit] = {}
        self.answers: list[dict[Position, Commit] | KafkaFailure] = []
        self.asked: list[list[Position]] = []

    def write(
        self, records: Sequence[OutRecord], offsets: Mapping[Position, Commit], group: object | None
    ) -> None:
        assert group == "generation"
        failure = self.script.pop(0) if self.script else None
        if failure is not None:
            raise failure
        self.written.append([record.value for record in records])
        self.commits.update(offsets)

    def group_metadata(self) -> object:
        return "generation"

    def committed(self, positions: Iterable[Position]) -> Mapping[Position, Commit | None]:
        self.asked.append(list(positions))
        answer = self.answers.pop(0)
        if isinstance(answer, KafkaFailure):
            raise answer
        return answer


class SlowKafka(Kafka):
    """Doesn't answer before it is told to."""

    def __init__(self, *script: KafkaFailure | None) -> None:
        super().__init__(*script)
        self.answer = threading.Event()

    def write(
        self, records: Sequence[OutRecord], offsets: Mapping[Position, Commit], group: object | None
    ) -> None:
        assert self.answer.wait(10)
        super().write(records, offsets, group)


class Desk:
    """A writer with one lane, and how often each entry was said to be written."""

    def __init__(self, *script: KafkaFailure | None, kafka: Kafka | None = None) -> None:
        self.kafka = kafka or Kafka(*script)
        self.lanes = Lanes()
        self.lane = lane()
        self.lanes.open(self.lane)
        self.told: list[bytes | None] = []
        self.stopped = False
        self.metrics = Metrics("1")
        self.checks = RoleChecks.register(Health(), "sender", loop_max_age=1, transaction_max_age=1)
        self.writer = Writer(
            self.lanes,
            self.kafka,
            self.kafka,
            self.metrics,
            self.checks,
            written=lambda entries: self.told.extend(entry.records[0].value for entry in entries),
            stopped=lambda: self.stopped,
        )

    def finish(self, offset: int, jobs: Lane | None = None) -> None:
        """Take the job at `offset` and finish it with one record that says which it was."""
        jobs = jobs or self.lane
        jobs.finish(take(jobs, offset))
        self.writer.add(Entry(jobs, [OutRecord("audit", None, b"%d" % offset, [])]))


def test_outcomes_and_offsets_are_written_together() -> None:
    desk = Desk()
    desk.finish(0)
    desk.finish(1)
    assert desk.writer.write()
    assert desk.kafka.written == [[b"0", b"1"]]
    assert desk.kafka.commits == {desk.lane.position: Commit(2, "1;T;")}
    assert desk.told == [b"0", b"1"]
    assert desk.writer.due_at is None


def test_nothing_to_write_is_no_transaction() -> None:
    desk = Desk()
    assert desk.writer.write()
    assert desk.kafka.written == []


def test_end_past_markers_is_committed_without_records() -> None:
    desk = Desk()
    desk.lane.end(4)
    assert desk.writer.write()
    assert desk.kafka.written == [[]]
    assert desk.kafka.commits[desk.lane.position].next_offset == 4


def test_lane_that_has_not_moved_is_not_committed_again() -> None:
    desk = Desk()
    desk.lane.end(0)
    assert desk.writer.write()
    assert desk.kafka.commits == {}
    assert not desk.lane.changed


def test_aborted_outcomes_go_with_the_next_transaction_in_their_order() -> None:
    desk = Desk(ABORTED)
    desk.finish(0)
    assert not desk.writer.write()
    assert desk.told == []
    desk.finish(1)
    assert desk.writer.write()
    assert desk.kafka.written == [[b"0", b"1"]]
    assert desk.told == [b"0", b"1"]


def _begun(kafka: SlowKafka) -> Desk:
    """A transaction with the first jobs is under way, and one more has ended since."""
    desk = Desk(kafka=kafka)
    for offset in range(COMMIT_RECORDS):
        desk.finish(offset)
    desk.writer.write_if_due()
    desk.finish(COMMIT_RECORDS)
    desk.writer.write_if_due()
    assert desk.writer.under_way
    assert kafka.written == []
    return desk


def test_what_ends_beside_a_transaction_goes_with_the_next() -> None:
    kafka = SlowKafka()
    desk = _begun(kafka)
    assert desk.writer.due_at is None
    kafka.answer.set()
    assert desk.writer.settle()
    assert kafka.commits[desk.lane.position].next_offset == COMMIT_RECORDS
    assert len(desk.told) == COMMIT_RECORDS
    assert desk.writer.write()
    assert kafka.written[1:] == [[b"%d" % COMMIT_RECORDS]]
    assert kafka.commits[desk.lane.position].next_offset == COMMIT_RECORDS + 1


def test_what_ends_beside_a_transaction_that_fails_comes_behind_it() -> None:
    kafka = SlowKafka(ABORTED)
    desk = _begun(kafka)
    kafka.answer.set()
    assert not desk.writer.settle()
    assert desk.writer.write()
    assert kafka.written == [[b"%d" % offset for offset in range(COMMIT_RECORDS + 1)]]
    assert kafka.commits[desk.lane.position].next_offset == COMMIT_RECORDS + 1


@pytest.mark.parametrize(
    ("failure", "result"),
    [(ABORTED, "aborted"), (TransactionFenced("fenced"), "fenced"), (None, "committed")],
)
def test_transactions_are_counted_by_how_they_ended(failure: KafkaFailure | None, result: str) -> None:
    desk = Desk(failure)
    desk.finish(0)
    desk.writer.write()
    text = generate_latest(desk.metrics.registry).decode()
    counted = re.findall(r'tocsin_transactions_total\{result="(\w+)",role="sender"\} 1\.0', text)
    assert counted == [result]


def test_lane_lost_beside_a_transaction_takes_nothing_over_to_its_next_life() -> None:
    kafka = SlowKafka(ABORTED)
    desk = _begun(kafka)
    desk.lanes.close([desk.lane.position])
    desk.writer.forget_closed()
    again = lane()
    desk.lanes.open(again)
    kafka.answer.set()
    assert not desk.writer.settle()
    assert not again.changed
    assert desk.writer.write()
    assert kafka.written == []


def test_writer_is_full_while_too_much_waits_to_be_written() -> None:
    kafka = SlowKafka()
    desk = _begun(kafka)
    before = [desk.writer.full]
    for offset in range(COMMIT_RECORDS + 1, MOST_UNWRITTEN):
        desk.finish(offset)
        before.append(desk.writer.full)
    assert before == [False] * (MOST_UNWRITTEN - COMMIT_RECORDS - 1) + [True]
    kafka.answer.set()
    assert desk.writer.write()
    assert desk.writer.full is False


@pytest.fixture
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing becomes due by the passing of time."""
    monkeypatch.setattr("processor.delivery.writing.COMMIT_EVERY", 3_600.0)


@pytest.mark.usefixtures("time_stands_still")
def test_failed_transaction_is_tried_again_after_a_while_however_much_waits() -> None:
    desk = Desk(ABORTED)
    desk.finish(0)
    desk.writer.write()
    for offset in range(1, COMMIT_RECORDS + 1):
        desk.finish(offset)
    assert desk.writer.due_at is not None
    assert desk.writer.due_at > time.monotonic()
    desk.writer.write_if_due()
    assert desk.kafka.written == []


@pytest.mark.usefixtures("time_stands_still")
def test_many_outcomes_do_not_wait_for_the_time() -> None:
    desk = Desk()
    desk.finish(0)
    desk.writer.write_if_due()
    assert desk.kafka.written == []
    for offset in range(1, COMMIT_RECORDS):
        desk.finish(offset)
    desk.writer.write_if_due()
    assert desk.writer.settle()
    assert len(desk.kafka.written) == 1


def test_doubtful_transaction_that_stands_is_not_written_again() -> None:
    desk = Desk(UNCERTAIN)
    desk.finish(0)
    desk.kafka.answers = [{desk.lane.position: Commit(1, "1;T;")}]
    assert desk.writer.write()
    assert desk.told == [b"0"]
    assert desk.lane.committed == Commit(1, "1;T;")
    assert desk.writer.write()
    assert desk.kafka.written == []


def test_doubtful_transaction_that_does_not_stand_is_written_again() -> None:
    desk = Desk(UNCERTAIN)
    desk.finish(0)
    desk.kafka.answers = [{desk.lane.position: Commit(0, "1;T;")}]
    assert not desk.writer.write()
    assert desk.writer.write()
    assert desk.kafka.written == [[b"0"]]
    assert desk.told == [b"0"]


def test_doubtful_transaction_with_the_same_offset_but_other_jobs_finished_does_not_stand() -> None:
    desk = Desk(UNCERTAIN)
    take(desk.lane, 0)
    desk.finish(1)
    desk.kafka.answers = [{desk.lane.position: Commit(0, "1;T;")}]
    assert not desk.writer.write()
    assert desk.writer.write()
    assert desk.kafka.written == [[b"1"]]


def test_doubt_is_waited_out_while_no_broker_answers_and_the_loop_counts_as_alive() -> None:
    desk = Desk(UNCERTAIN)
    desk.finish(0)
    away = BrokerUnavailable("away")
    desk.kafka.answers = [away, away, {desk.lane.position: Commit(1, "1;T;")}]
    assert desk.writer.write()
    assert len(desk.kafka.asked) == 3
    assert desk.checks.loop.reason(time.monotonic() + 2) is not None  # it was beaten, so it can be late


def test_doubt_is_not_waited_out_on_the_way_out() -> None:
    desk = Desk(UNCERTAIN)
    desk.stopped = True
    desk.finish(0)
    desk.kafka.answers = [BrokerUnavailable("away")]
    assert not desk.writer.write()


def test_record_that_is_too_large_ends_the_role() -> None:
    desk = Desk(RecordTooLarge(0, "retry"))
    desk.finish(0)
    with pytest.raises(FatalKafkaError, match="too large for topic retry"):
        desk.writer.write()


def test_transaction_is_a_sign_of_life_only_while_it_lasts() -> None:
    desk = Desk(ABORTED, RecordTooLarge(0, "retry"))
    desk.finish(0)
    desk.writer.write()
    with pytest.raises(FatalKafkaError):
        desk.writer.write()
    assert desk.checks.transaction.reason(time.monotonic() + 60) is None


def test_outcomes_of_a_partition_that_has_gone_are_not_written() -> None:
    desk, gone = Desk(), lane(partition=1)
    desk.lanes.open(gone)
    desk.finish(0)
    desk.finish(7, gone)
    desk.lanes.close([gone.position])
    desk.writer.forget_closed()
    assert desk.writer.write()
    assert desk.kafka.written == [[b"0"]]
    assert list(desk.kafka.commits) == [desk.lane.position]


def test_write_by_tries_again_until_it_has_written() -> None:
    desk = Desk(ABORTED, ABORTED)
    desk.finish(0)
    assert desk.writer.write_by(time.monotonic() + 10)
    assert desk.kafka.written == [[b"0"]]


def test_write_by_gives_up_in_time() -> None:
    desk = Desk(*[ABORTED] * 100)
    desk.finish(0)
    began = time.monotonic()
    assert not desk.writer.write_by(began + 0.3)
    assert time.monotonic() - began < 5


def test_proof_is_a_commit_of_what_is_committed_already() -> None:
    desk = Desk()
    assert desk.writer.prove()
    assert desk.kafka.written == [[]]
    assert desk.kafka.commits == {desk.lane.position: Commit(0, "1;T;")}


def test_failed_proof_proves_nothing_and_loses_nothing() -> None:
    desk = Desk(ABORTED)
    desk.finish(0)
    assert not desk.writer.prove()
    assert desk.writer.prove()
    assert desk.kafka.written == [[b"0"]]


def test_nothing_owned_proves_nothing() -> None:
    desk = Desk()
    desk.lanes.close([desk.lane.position])
    assert not desk.writer.prove()

import pytest
from msgspec.structs import replace

from processor.delivery.dead import DeadLetters, PutBack, Selection, is_marker, read_dead
from processor.delivery.outcome import Reason
from processor.jobs import JobHeaders, job_id
from processor.kafka.records import Headers, Position
from tests.support.deliveries import JOB, MATCHED, dead_record_headers

TOPIC = "t.webhook-jobs.dead"
OTHER = replace(JOB, job_id=job_id("T", 0, 2, 8, "", 0), rule_id=8)


class Topic:
    """A dead topic, record by record."""

    def __init__(self, selection: Selection | None = None) -> None:
        self.letters = DeadLetters(selection or Selection())
        self._next: dict[int, int] = {}

    def add(self, headers: Headers, partition: int = 0, *, empty: bool = False) -> tuple[int, int]:
        offset = self._next.get(partition, 0)
        self._next[partition] = offset + 1
        self.letters.take(Position(TOPIC, partition), offset, headers, empty=empty)
        return partition, offset

    def die(self, attempt: int, job: JobHeaders = JOB, partition: int = 0, **more: object) -> tuple[int, int]:
        return self.add(dead_record_headers(job, attempt, **more), partition)  # type: ignore[arg-type]

    def mark(self, place: tuple[int, int], job: JobHeaders = JOB) -> None:
        _, marker = put_back(*place, job).records("jobs", 0, "w1")
        self.add(marker.headers, marker.partition, empty=True)

    @property
    def open(self) -> dict[str, tuple[int, int]]:
        """The places of what can be put back."""
        letters = self.letters
        return {
            job_id: letter.place
            for job_id, letter in letters.latest().items()
            if not letters.is_put_back(job_id, letter)
        }


def put_back(partition: int, offset: int, job: JobHeaders = JOB, attempt: int = 2) -> PutBack:
    return PutBack(
        b"7/3", b"{}", job, Position(TOPIC, partition), offset, attempt, job.redelivered + 1, "exhausted"
    )


def test_a_dead_job_can_be_put_back_once() -> None:
    topic = Topic()
    place = topic.die(6)
    assert topic.open == {JOB.job_id: place}

    topic.mark(place)

    assert topic.open == {}
    assert topic.letters.times_put_back(JOB.job_id) == 1
    assert topic.letters.is_put_back_by(JOB.job_id, "w1")
    assert not topic.letters.is_put_back_by(JOB.job_id, "w2")
    assert not topic.letters.is_put_back_by(OTHER.job_id, "w1")


def test_a_job_that_died_again_can_be_put_back_again() -> None:
    topic = Topic()
    topic.mark(topic.die(6))
    again = topic.die(12, died_at_ms=MATCHED + 1)
    assert topic.open == {JOB.job_id: again}

    topic.mark(again)

    assert topic.open == {}
    assert topic.letters.times_put_back(JOB.job_id) == 2


def test_after_the_topic_grew_a_job_may_have_died_in_two_partitions() -> None:
    topic = Topic()
    topic.mark(topic.die(6, partition=1))
    again = topic.die(12, partition=4)
    assert topic.open == {JOB.job_id: again}
    topic.mark(again)
    assert topic.open == {}


def test_a_job_that_was_written_twice_is_put_back_once() -> None:
    topic = Topic()
    topic.die(6)
    second = topic.die(6)
    assert topic.open == {JOB.job_id: second}

    topic.mark(second)

    assert topic.open == {}


@pytest.mark.parametrize(("reason", "made"), [(Reason.EXHAUSTED, 6), (Reason.GONE, 6), (Reason.EXPIRED, 5)])
def test_a_job_that_expired_had_not_been_tried_under_that_number(reason: Reason, made: int) -> None:
    topic = Topic()
    topic.die(6, reason=reason)
    assert topic.letters.latest()[JOB.job_id].attempt == made


def test_of_a_death_by_expiry_after_redelivery_the_later_record_counts() -> None:
    topic = Topic()
    topic.mark(topic.die(6))
    last = topic.die(7, reason=Reason.EXPIRED, died_at_ms=MATCHED + 5)
    assert topic.open == {JOB.job_id: last}


@pytest.mark.parametrize(
    ("selection", "jobs"),
    [
        (Selection(), {JOB.job_id, OTHER.job_id}),
        (Selection(job_id=JOB.job_id), {JOB.job_id}),
        (Selection(rule_id=8), {OTHER.job_id}),
        (Selection(job_id=JOB.job_id, rule_id=8), set()),
        (Selection(since_ms=MATCHED + 1), {OTHER.job_id}),
        (Selection(rule_id=7, since_ms=MATCHED + 1), set()),
    ],
)
def test_only_what_is_selected_is_looked_at(selection: Selection, jobs: set[str]) -> None:
    topic = Topic(selection)
    topic.die(6)
    topic.die(6, OTHER, died_at_ms=MATCHED + 1)
    assert set(topic.open) == jobs


def test_keys_tell_quickly_what_is_not_meant() -> None:
    rule = Selection(rule_id=7)
    assert rule.may_take(b"7/3")
    assert rule.may_take(None)
    assert not rule.may_take(b"77/3")
    assert Selection(job_id=JOB.job_id).may_take(b"77/3")


def test_records_that_are_no_jobs_are_counted_with_the_reason() -> None:
    topic = Topic()
    topic.add([("tocsin-error", b"x")])
    topic.add([("tocsin-format", b"9"), *dead_record_headers(JOB, 6)])
    topic.add(dead_record_headers(JOB, 6), empty=True)

    assert topic.open == {}
    assert [(rule, text.split()[0], count) for (rule, text), count in topic.letters.unusable.items()] == [
        (None, "job", 1),
        (None, "job", 1),
        (7, "its", 1),
    ]


def test_a_damaged_marker_marks_nothing() -> None:
    topic = Topic()
    place = topic.die(6)
    topic.add([("tocsin-job-id", JOB.job_id.encode()), ("tocsin-redelivered-from", b"nowhere")], empty=True)
    assert topic.open == {JOB.job_id: place}


def test_the_job_begins_anew_and_the_marker_names_its_dead_record() -> None:
    headers = dead_record_headers(
        replace(JOB, deferrals=3, traceparent=None, others=(("x-later", b"1"),)), 6, error="HTTP 500"
    )
    job, marker = put_back(2, 41, read_dead(headers), attempt=7).records("jobs", MATCHED + 9, "w1")

    assert (job.topic, job.key, job.value, job.partition) == ("jobs", b"7/3", b"{}", -1)
    assert JobHeaders.decode(job.headers) == replace(
        JOB,
        attempt=7,
        first_attempt=7,
        not_before_ms=MATCHED + 9,
        redelivered=1,
        redelivered_at_ms=MATCHED + 9,
        others=(("x-later", b"1"),),
    )
    assert (marker.topic, marker.key, marker.value, marker.partition) == (TOPIC, b"7/3", None, 2)
    assert marker.headers == [
        ("tocsin-job-id", JOB.job_id.encode()),
        ("tocsin-redelivered-from", b"2@41"),
        ("write-id", b"w1"),
    ]
    assert is_marker(marker.headers)
    assert not is_marker(headers)

"""What comes from Kafka, in this package's words."""

from processor.kafka.records import Position, headers_of, place_of, position_of
from tests.support.fakes import BadlyNamedHeaders, FakeRecord


def test_headers_are_given_as_they_are() -> None:
    assert headers_of(FakeRecord(its_headers=[("a", b"1"), ("a", None)])) == [("a", b"1"), ("a", None)]
    assert list(headers_of(FakeRecord())) == []


def test_headers_whose_names_the_client_cannot_read_are_none() -> None:
    assert list(headers_of(BadlyNamedHeaders())) == []


def test_places_are_written_for_people() -> None:
    record = FakeRecord(at=7, position=Position("event-log", 3))
    assert position_of(record) == Position("event-log", 3)
    assert place_of(record) == "event-log[3]@7"

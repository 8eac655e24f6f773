"""Records one by one: acknowledged, in order, and refused ones don't stop the others."""

from processor.kafka.config import client_config
from processor.kafka.records import OutRecord
from processor.kafka.stream import RecordStream
from processor.settings import Settings
from tests.support.brokers import Broker
from tests.support.records import read_all
from tests.support.settings import settings_for
from tests.support.topics import create_topic
from tests.support.waiting import wait_until


def test_each_record_is_answered_and_a_too_large_one_stops_no_other(broker: Broker, prefix: str) -> None:
    topic = f"{prefix}events"
    create_topic(broker.bootstrap, topic, 1)
    settings = Settings.model_validate(settings_for(broker.bootstrap, prefix))
    stream = RecordStream(client_config(settings.kafka, f"{prefix}scanner"), 100_000)
    stream.start()
    answers: dict[int, str | None] = {}

    def write(number: int, size: int) -> None:
        value = b"%d " % number + b"x" * size
        stream.write(OutRecord(topic, b"key", value, ()), lambda error: answers.update({number: error}))

    for number in range(500):
        write(number, 200_000 if number == 7 else 10)
    assert answers[7] is not None, "what the client refuses is answered at once"
    wait_until(lambda: len(answers) == 500, 20, "all are answered")

    assert [number for number, error in answers.items() if error is not None] == [7]
    assert stream.failed is None
    assert stream.stop(5.0) == 0
    values = [record.value or b"" for record in read_all(broker.bootstrap, topic)]
    assert [int(value.split()[0]) for value in values] == [n for n in range(500) if n != 7]


def test_what_might_be_written_later_ends_the_stream_rather_than_leave_a_gap(
    broker: Broker, prefix: str
) -> None:
    settings = Settings.model_validate(settings_for(broker.bootstrap, prefix))
    config = client_config(settings.kafka, f"{prefix}scanner", topic_metadata_propagation_max_ms=100)
    stream = RecordStream({**config, "allow.auto.create.topics": False}, 100_000)
    stream.start()
    answered: list[str | None] = []
    stream.write(OutRecord(f"{prefix}none", b"key", b"value", ()), answered.append)
    wait_until(lambda: stream.failed is not None, 20, "it has failed")
    assert answered == []
    assert "none" in str(stream.failed)
    stream.stop(0.1)

"""A record that no Python client would write: with a header whose name is not UTF-8. librdkafka does."""

import ctypes
from pathlib import Path

import confluent_kafka

# The tags of rd_kafka_producev()'s arguments (rd_kafka_vtype_t), and the flag that has it copy the value.
_END, _TOPIC, _VALUE, _FLAGS, _HEADER, _COPY = 0, 1, 4, 7, 9, 2


def library() -> Path | None:
    """The librdkafka inside the installed wheel; None where the client was built in another way."""
    packages = Path(confluent_kafka.__file__).parent.parent
    return next(packages.glob("confluent_kafka.libs/librdkafka*"), None)


def produce_with_header(bootstrap: str, topic: str, value: bytes, name: bytes) -> None:
    """Append one record with a header of this name and wait until it is written."""
    found = library()
    assert found is not None
    rd = ctypes.CDLL(str(found))
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    rd.rd_kafka_conf_new.restype = rd.rd_kafka_new.restype = pointer
    rd.rd_kafka_conf_set.argtypes = [pointer, text, text, text, size]
    rd.rd_kafka_new.argtypes = [ctypes.c_int, pointer, text, size]
    rd.rd_kafka_flush.argtypes = [pointer, ctypes.c_int]
    rd.rd_kafka_destroy.argtypes = [pointer]

    error = ctypes.create_string_buffer(512)
    conf = rd.rd_kafka_conf_new()
    assert rd.rd_kafka_conf_set(conf, b"bootstrap.servers", bootstrap.encode(), error, 512) == 0, error.value
    producer = rd.rd_kafka_new(0, conf, error, 512)
    assert producer, error.value
    arguments = (
        *(_TOPIC, text(topic.encode())),
        *(_VALUE, text(value), size(len(value))),
        *(_FLAGS, _COPY),
        *(_HEADER, text(name), text(b"x"), ctypes.c_ssize_t(1)),
    )
    assert rd.rd_kafka_producev(pointer(producer), *arguments, _END) == 0
    assert rd.rd_kafka_flush(producer, 30_000) == 0
    rd.rd_kafka_destroy(producer)

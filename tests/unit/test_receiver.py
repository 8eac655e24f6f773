"""The receiver that delivery tests trust."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping

import pytest

from tests.support.receiver import Answer, Receiver


def post(url: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_requests_are_recorded_as_they_arrived(receiver: Receiver) -> None:
    assert post(receiver.url("/a?b=c"), b'{"x":1}', {"Webhook-Id": "msg_1"}) == (200, b"")

    (request,) = receiver.wait_for(1, 5)

    assert (request.method, request.path, request.json()) == ("POST", "/a?b=c", {"x": 1})
    assert request.webhook_id == "msg_1"
    receiver.clear()
    assert receiver.requests() == []


def test_answers_follow_the_programme_of_each_path(receiver: Receiver) -> None:
    receiver.answer("/a", Answer(500), Answer(429, {"Retry-After": "7"}, b"later"))
    receiver.answer_by("*", lambda nth, request: Answer(404 if nth % 2 else 410))

    assert [post(receiver.url("/a")) for _ in range(3)] == [(500, b""), (429, b"later"), (200, b"")]
    assert [post(receiver.url(path))[0] for path in ("/x", "/y", "/z")] == [410, 404, 410]
    assert len(receiver.requests("/a")) == 3


def test_a_dropped_request_gets_no_answer(receiver: Receiver) -> None:
    receiver.answer("/a", Answer(drop=True))

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        post(receiver.url("/a"))
    assert len(receiver.wait_for(1, 5)) == 1


def test_a_body_that_never_comes_leaves_the_status_line(receiver: Receiver) -> None:
    receiver.answer("/a", Answer(202, hang_after_headers=True))
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=5)
    try:
        connection.request("POST", "/a", b"{}")
        response = connection.getresponse()
        assert response.status == 202
    finally:
        connection.close()


def test_a_receiver_can_come_back_at_the_same_port() -> None:
    with Receiver() as first:
        port = first.port
    with Receiver(port) as second:
        assert post(second.url())[0] == 200

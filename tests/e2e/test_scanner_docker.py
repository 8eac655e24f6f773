"""The Docker source on a real engine: every line once, whatever happens to containers, logs and engine."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.docker_containers import Containers, docker, missing
from tests.support.docker_reading import Collected, Reading, Relay
from tests.support.waiting import wait_until

pytestmark = pytest.mark.docker

BURST = "seq -f 'line %.0f of a burst, about as long as lines of logs are in real life, more or less' 1"


@pytest.fixture(autouse=True)
def _engine() -> None:
    if reason := missing():
        pytest.skip(f"needs a Docker engine: {reason}")


@pytest.fixture
def containers() -> Iterator[Containers]:
    with Containers() as made:
        yield made


def numbers(texts: list[bytes]) -> list[int]:
    return [int(text.split()[1]) for text in texts]


@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize("tty", [False, True], ids=["streams", "terminal"])
def test_lines_come_as_they_were_printed(containers: Containers, driver: str, tty: bool) -> None:
    script = (
        "head -c 40000 /dev/zero | tr '\\0' a; echo; echo; printf '  two  spaces\\n';"
        "head -c 16384 /dev/zero | tr '\\0' b; echo; head -c 1500000 /dev/zero | tr '\\0' c; echo;"
        "echo to stderr >&2; printf 'no newline'"
    )
    sink = Collected()
    with Reading(sink, containers.run_id).ready():
        options = ["--log-driver", driver, *(["--tty"] if tty else [])]
        containers.run("shape", script, *options)
        workload = containers.name("shape")
        sink.wait_for(workload, 8)
    expected = [
        b"a" * 40000,
        b"",
        b"  two  spaces",
        b"b" * 16384,
        b"c" * (1 << 20),
        b"c" * (1_500_000 - (1 << 20)),
    ]
    lines = sink.lines[workload]
    stdout = [text for stream, text, _ in lines if stream == 1 and text != b"to stderr"]
    assert stdout == [*expected, b"no newline"]
    assert [(stream, text) for stream, text, _ in lines if text == b"to stderr"] == [
        (1 if tty else 2, b"to stderr")
    ]
    assert all(len(stamp) >= 30 for _, _, stamp in lines)
    assert sink.cut == 2
    assert sink.losses == []


def test_a_burst_of_a_hundred_thousand_lines_comes_whole_and_in_order(containers: Containers) -> None:
    sink = Collected()
    with Reading(sink, containers.run_id).ready():
        containers.run("burst", f"{BURST} 100000")
        found = sink.wait_for(containers.name("burst"), 100_000)
    assert numbers(found) == list(range(1, 100_001))
    assert sink.losses == []


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_both_streams_of_a_burst_come_once_however_often_the_reader_is_replaced(
    containers: Containers, driver: str
) -> None:
    """Each reader is cut off somewhere in the middle, and the next one goes on from what was taken."""
    sink = Collected()
    begin = time.time()
    workload = containers.name("twice")
    containers.run("twice", f"{BURST} 40000 & {BURST} 40000 >&2; wait; sleep 600", "--log-driver", driver)
    for share in range(1, 9):
        with Reading(sink, containers.run_id, begin=begin):
            sink.wait_for(workload, 10_000 * share)
    wait_until(lambda: len(sink.lines[workload]) >= 80_000)
    for stream in (1, 2):
        found = [text for each, text, _ in sink.lines[workload] if each == stream]
        assert numbers(found) == list(range(1, 40_001))
    assert sink.losses == []


def test_a_container_goes_on_after_restarts_and_another_name(containers: Containers) -> None:
    sink = Collected()
    with Reading(sink, containers.run_id).ready():
        container = containers.run("again", "echo begin; trap 'echo end; exit' TERM; sleep 600 & wait")
        first = containers.name("again")
        sink.wait_for(first, 1)
        for round_number in (1, 2):
            docker("restart", container)
            sink.wait_for(first, 1 + 2 * round_number)
        assert sink.texts(first) == [b"begin", b"end"] * 2 + [b"begin"]
        docker("rename", container, containers.name("renamed"))
        docker("restart", container)
        wait_until(lambda: b"begin" in sink.texts(containers.name("renamed")), 15)
    everything = sink.texts(first) + sink.texts(containers.name("renamed"))
    assert everything == [b"begin", b"end"] * 3 + [b"begin"]
    assert sink.losses == []


def test_what_a_container_says_last_is_read_when_it_is_removed(containers: Containers) -> None:
    sink = Collected()
    with Reading(sink, containers.run_id).ready():
        workload = containers.name("brief")
        containers.run("brief", f"{BURST} 20000; sleep 1; {BURST} 20000", "--rm")
        wait_until(lambda: sink.ended == [workload], 60, lambda: f"{sink.ended}")
    found = sink.texts(workload)
    assert len(found) >= 20_000
    # The engine may end the stream, and remove the log, before it has sent everything: then that is said.
    assert numbers(found) == (list(range(1, 20_001)) * 2)[: len(found)]
    assert len(found) == 40_000 or sink.losses == [(workload, 0)]
    assert sink.positions == {}


def test_what_was_printed_while_nobody_read_is_read_later(containers: Containers) -> None:
    """Also by containers that were made, and have ended, in between."""
    sink = Collected()
    begin = time.time()
    with Reading(sink, containers.run_id, begin=begin).ready():
        old = containers.run("old", "echo one; trap 'echo two; exit' TERM; sleep 600 & wait")
        sink.wait_for(containers.name("old"), 1)
    docker("stop", old)
    docker("wait", containers.run("new", "echo three"))
    with Reading(sink, containers.run_id, begin=begin):
        sink.wait_for(containers.name("old"), 2)
        sink.wait_for(containers.name("new"), 1)
    assert sink.texts(containers.name("old")) == [b"one", b"two"]
    assert sink.texts(containers.name("new")) == [b"three"]
    assert sink.losses == []


def test_a_container_that_was_removed_while_nobody_read_is_counted_and_forgotten(
    containers: Containers,
) -> None:
    sink = Collected()
    begin = time.time()
    with Reading(sink, containers.run_id, begin=begin).ready():
        brief = containers.run("brief", "echo one; read -r go; echo two", "--interactive")
        kept = containers.run("kept", "echo one; sleep 600")
        for name in ("brief", "kept"):
            sink.wait_for(containers.name(name), 1)
    docker("rm", "--force", brief)
    with Reading(sink, containers.run_id, begin=begin).ready():
        pass
    assert sink.losses == [(f"docker/{brief}", 0)]
    assert list(sink.positions) == [f"docker/{kept}"]


def test_what_was_there_before_the_first_reader_is_not_read(containers: Containers) -> None:
    container = containers.run("early", "echo before; read -r go; echo after", "--interactive")
    wait_until(lambda: "before" in docker("logs", container))
    sink = Collected()
    begin = time.time() + 1
    wait_until(lambda: time.time() > begin + 0.1)
    with Reading(sink, containers.run_id, begin=begin).ready():
        docker("restart", container)
        sink.wait_for(containers.name("early"), 1)
    assert sink.texts(containers.name("early")) == [b"before"]  # the one of the second run


def test_a_log_that_rotates_comes_whole_while_the_engine_has_all_of_it(containers: Containers) -> None:
    sink = Collected()
    with Reading(sink, containers.run_id).ready():
        script = f"for i in $(seq 1 20); do {BURST} 1000; sleep 0.05; done"
        containers.run("rotating", script, "--log-opt", "max-size=1m", "--log-opt", "max-file=5")
        found = sink.wait_for(containers.name("rotating"), 20_000)
    assert numbers(found) == list(range(1, 1_001)) * 20
    assert sink.losses == []


def test_what_was_rotated_away_while_nobody_read_is_said(containers: Containers) -> None:
    sink = Collected()
    begin = time.time()
    workload = containers.name("rotated")
    options = ["--interactive", "--log-opt", "max-size=100k", "--log-opt", "max-file=2"]
    script = f"echo line 0 first; trap '{BURST} 20000; exit' TERM; sleep 600 & wait".replace("'line", '"line')
    script = script.replace("less'", 'less"')
    with Reading(sink, containers.run_id, begin=begin).ready():
        container = containers.run("rotated", script, *options)
        sink.wait_for(workload, 1)
    docker("stop", "--time", "20", container)
    with Reading(sink, containers.run_id, begin=begin):
        wait_until(lambda: b"line 20000 " in b"".join(sink.texts(workload)[-1:]), 30)
    found = numbers(sink.texts(workload))
    assert found == [0, *range(found[1], 20_001)]  # what is there is there once
    assert found[1] > 1
    assert sink.losses == [(workload, 0)]


def test_an_engine_that_goes_away_and_comes_back_costs_no_line(
    containers: Containers, tmp_path: Path
) -> None:
    sink = Collected()
    with Relay(tmp_path / "docker.sock") as relay:
        wait_until(relay.path.exists)
        with Reading(sink, containers.run_id, socket=relay.path).ready() as reading:
            script = f"for i in $(seq 1 30); do {BURST} 1000; sleep 0.1; done; sleep 600"
            containers.run("steady", script)
            workload = containers.name("steady")
            sink.wait_for(workload, 3_000)
            relay.hang_up()
            sink.wait_for(workload, 9_000)
            relay.go_away()
            wait_until(lambda: reading.source.trouble, 15)
            assert str(relay.path) in reading.source.trouble
            assert "\n" not in reading.source.trouble
            relay.come_back()
            found = sink.wait_for(workload, 30_000)
            wait_until(lambda: not reading.source.trouble)
    assert numbers(found) == list(range(1, 1_001)) * 30
    assert sink.losses == []


def test_an_engine_that_is_not_there_is_trouble_that_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with Reading(Collected(), "none", socket=tmp_path / "nothing.sock") as reading:
        wait_until(lambda: "No such file" in reading.source.trouble, 10, lambda: reading.source.trouble)
        assert "scanner.docker_socket" in reading.source.trouble


def test_a_driver_that_cannot_be_read_is_counted_and_the_others_are_read(
    containers: Containers, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Collected()
    with Reading(sink, containers.run_id).ready() as reading:
        containers.run("mute", "echo unheard; sleep 600", "--log-driver", "none")
        containers.run("heard", "echo heard; sleep 600")
        sink.wait_for(containers.name("heard"), 1)
        wait_until(lambda: sink.losses == [(containers.name("mute"), 0)])
        assert reading.source.counts.unreadable == 1
        assert reading.source.trouble == ""
    assert f"{containers.name('mute')}: its log can't be read, the logging driver is none" in caplog.text


def test_a_sink_that_takes_nothing_keeps_the_engine_waiting_and_loses_nothing(containers: Containers) -> None:
    sink = Collected()
    with Reading(sink, containers.run_id).ready():
        sink.may_go_on.clear()
        container = containers.run("pressed", f"{BURST} 100000")
        docker("wait", container)
        assert sink.portions == 0
        sink.may_go_on.set()
        found = sink.wait_for(containers.name("pressed"), 100_000)
    assert numbers(found) == list(range(1, 100_001))


def test_compose_services_are_workloads_and_know_their_container_and_image(containers: Containers) -> None:
    sink = Collected()
    with Reading(sink, containers.run_id).ready():
        for number in (1, 2):
            containers.run(
                f"web-{number}", "echo hello; sleep 600", "--label", "com.docker.compose.service=web"
            )
        sink.wait_for("web", 2)
    assert sink.tails["web"].container.startswith("web-")
    assert sink.tails["web"].image.startswith("debian:") or sink.tails["web"].image
    assert len(sink.positions) == 2


def check_many(containers: Containers, count: int) -> None:
    sink = Collected()
    names = [f"many-{number}" for number in range(count)]
    with Reading(sink, containers.run_id).ready() as reading:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda name: containers.create(name, f"{BURST} 500; sleep 600"), names))
        for at in range(0, count, 20):
            docker("start", *made[at : at + 20], timeout=300)
        for name in names:
            assert numbers(sink.wait_for(containers.name(name), 500)) == list(range(1, 501))
        wait_until(lambda: len(reading.source.tails) == count)
    assert sink.losses == []


def test_many_containers_at_once(containers: Containers) -> None:
    check_many(containers, 20)


@pytest.mark.soak
def test_two_hundred_containers_at_once(containers: Containers) -> None:
    check_many(containers, 200)

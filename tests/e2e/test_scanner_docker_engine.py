"""The Docker source beside an engine that is restarted, and one that is killed."""

import signal
import time
from pathlib import Path

import pytest

from tests.support import docker_containers, own_engine
from tests.support.docker_containers import IMAGE, LABEL
from tests.support.docker_reading import Collected, Reading
from tests.support.own_engine import OwnEngine
from tests.support.waiting import wait_until

SCRIPT = """
i=0
while [ $i -lt 4000 ]; do
  i=$((i + 1))
  echo line $i
  [ $((i % 200)) != 0 ] || sleep 0.5
done
sleep 600
"""


@pytest.mark.docker
@pytest.mark.soak
def test_containers_that_outlive_their_engine_lose_no_line(tmp_path: Path) -> None:
    if reason := docker_containers.missing() or own_engine.missing():
        pytest.skip(reason)
    sink = Collected()
    drivers = ("json-file", "local")
    begin = time.time()
    with (
        OwnEngine(tmp_path) as engine,
        Reading(sink, "own", socket=engine.socket, begin=begin).ready() as reading,
    ):
        for driver in drivers:
            options = ["--label", f"{LABEL}=own", "--network", "none", "--log-driver", driver]
            engine.docker("run", "--detach", "--name", driver, *options, IMAGE, "sh", "-c", SCRIPT)
        for count, number in ((600, signal.SIGTERM), (2000, signal.SIGKILL)):
            for driver in drivers:
                sink.wait_for(driver, count)
            engine.stop(number)
            wait_until(lambda: reading.source.trouble, 15)
            engine.start()
            wait_until(lambda: not reading.source.trouble, 30)
        for driver in drivers:
            found = sink.wait_for(driver, 4000)
            assert [int(text.split()[1]) for text in found] == list(range(1, 4001))
    assert sink.losses == []

"""The handle to the receivers' process."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.ground import TIMEOUT, Ground, Helper
from tests.support.brokers import free_port
from tests.support.waiting import wait_until


class Receivers:
    """Asks the process what it has received."""

    def __init__(self, helper: Helper, network: str, port: int) -> None:
        self.network = network
        self.port = port
        self._helper = helper
        self._connection = http.client.HTTPConnection(f"{network}.1", port, timeout=TIMEOUT)

    def count(self) -> int:
        """Requests answered so far, by all of them."""
        return int(self._get("/count"))

    def delays(self) -> dict[str, list[float]]:
        """Seconds from each stamp to its arrival, by address, since the last call; hanging ones included."""
        found: dict[str, list[float]] = self._get("/delays")
        return found

    def wait_listening(self) -> None:
        def listens() -> bool:
            self._helper.check()
            try:
                return self.count() == 0
            except OSError:
                self._connection.close()
                return False

        wait_until(listens, TIMEOUT, "the receivers listen")

    def _get(self, path: str) -> Any:
        self._connection.request("GET", path)
        return json.loads(self._connection.getresponse().read())


@contextmanager
def receivers(
    ground: Ground, network: str, count: int, *, hanging: int | None = None, timed: bool = False
) -> Iterator[Receivers]:
    """`count` receivers at addresses of `network` (127.x.y) and one port, for the length of the block.

    hanging: the number (from 1) of one that never answers; timed: whether delays are noted.
    """
    port = free_port()
    options = [*(["--hanging", hanging] if hanging else []), *(["--timed"] if timed else [])]
    with ground.child("receiver", network, port, count, *options) as helper:
        handle = Receivers(helper, network, port)
        handle.wait_listening()
        yield handle

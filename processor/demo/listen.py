"""`python -m processor.demo.listen HOST:PORT`: the demo's receiver by itself, as compose.yaml runs it.

It answers every webhook and prints a line for each, until SIGTERM or SIGINT.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Sequence

from processor.demo.receiver import Receiver
from processor.demo.screen import screen_for
from processor.settings_values import parse_host_port


def main(argv: Sequence[str]) -> int:
    """Listen at the one argument; 2 when that is no host:port, 1 when it can't be listened on."""
    try:
        (where,) = argv
        at = parse_host_port(where)
    except ValueError:
        print("usage: python -m processor.demo.listen HOST:PORT", file=sys.stderr)
        return 2
    try:
        asyncio.run(_listen(at))
    except OSError as failure:
        print(f"can't listen on {where}: {failure.strerror}", file=sys.stderr)
        return 1
    return 0


async def _listen(at: tuple[str, int]) -> None:
    screen = screen_for(sys.stdout, os.environ, shutil.get_terminal_size().columns, 0)
    screen.show_all()
    receiver = Receiver(screen.webhook, lambda _: None, at=at)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    screen.step("listening", await receiver.start())
    await ended.wait()
    await receiver.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

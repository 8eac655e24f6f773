"""A child process of this Python that answers questions: frames over two pipes, each with a deadline.

A frame is 4 bytes of length, big-endian, and that many bytes.
"""

import os
import select
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO, Final

LENGTH: Final = struct.Struct(">I")
IDLE_EXIT: Final = 0  # the exit code of a child that ends because nothing was asked of it
_PASSED_ON: Final = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME")  # no secrets


class ChildFailedError(Exception):
    """The child was killed at a deadline, or ended by itself. str() says which."""


class Child:
    """One process, from its start to its end.

    One thread at a time asks it, blocking up to the deadlines (by time.monotonic); any thread may kill it.
    It gets a session of its own, no open file but the pipes, and of the environment only what running takes.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        # Found where this process found it, whatever the working directory holds.
        root = str(Path(__file__).parents[2])
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this Python and a module of this package
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=theirs_in,
                stdout=theirs_out,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )
        except BaseException:
            os.close(self._to)
            os.close(self._from)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        os.set_blocking(self._to, False)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, body: bytes, deadline: float) -> None:
        """Raises ChildFailedError if the child has ended, or hasn't taken all of it by the deadline."""
        frame = memoryview(LENGTH.pack(len(body)) + body)
        while frame:
            self._wait(self._to, select.POLLOUT, deadline)
            try:
                frame = frame[os.write(self._to, frame[:65_536]) :]
            except BrokenPipeError:
                raise self._has_ended() from None

    def receive(self, deadline: float) -> bytes:
        """The next frame; raises ChildFailedError as send does."""
        (length,) = LENGTH.unpack(self._read(LENGTH.size, deadline))
        return self._read(length, deadline)

    def kill(self) -> None:
        """From any thread: whoever waits for an answer gets ChildFailedError."""
        self._process.kill()

    def end(self) -> int:
        """Kills it if it runs, and tidies up; the exit code. The object is of no use afterwards."""
        self._process.kill()
        os.close(self._to)
        os.close(self._from)
        return self._process.wait()

    def _read(self, size: int, deadline: float) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            self._wait(self._from, select.POLLIN, deadline)
            part = os.read(self._from, min(size - len(parts), 1 << 20))
            if not part:
                raise self._has_ended()
            parts += part
        return bytes(parts)

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self._process.kill()
            raise ChildFailedError("took too long")

    def _has_ended(self) -> ChildFailedError:
        self._process.kill()
        return ChildFailedError(f"ended its process with exit code {self._process.wait()}")


def read_frame(source: BinaryIO) -> bytes | None:
    """For the child: the next frame, None at the end of input."""
    head = source.read(LENGTH.size)
    return source.read(*LENGTH.unpack(head)) if len(head) == LENGTH.size else None


def write_frame(target: BinaryIO, body: bytes) -> None:
    """For the child: one frame, at once."""
    target.write(LENGTH.pack(len(body)) + body)
    target.flush()

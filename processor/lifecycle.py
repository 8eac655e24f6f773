"""How a process begins and ends: start the services, wait for a signal or a failure, drain within one
deadline.

A role is a `Service`, or several in one process. `run_services` owns the signals: SIGTERM and SIGINT drain,
however often they come (a terminal and a supervisor may both send one, so a second one is no reason to drop
what is in flight; the deadline bounds the drain anyway). The way a process ends is its exit code: 0 drained,
1 failed or not drained in time.
"""

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import FrameType
from typing import NoReturn, Protocol

from processor.settings import Settings

log = logging.getLogger(__name__)

DRAINED = 0
FAILED = 1

_LOOK_EVERY = 0.1  # seconds between two looks at whether a service has failed


class Deadline:
    """A moment that everything done on the way shares: made once, handed down, asked for what remains.

    Monotonic, so that a changed wall clock moves no deadline. Safe in any thread.
    """

    __slots__ = ("_at", "_clock")

    def __init__(self, timeout: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now; `clock` gives seconds and never goes back."""
        self._clock = clock
        self._at = clock() + timeout.total_seconds()

    def remaining(self) -> float:
        """Seconds left, 0.0 once it has passed: fit for any timeout."""
        return max(0.0, self._at - self._clock())

    @property
    def expired(self) -> bool:
        return self.remaining() == 0.0


class Refused(Exception):  # noqa: N818  (says what happened; nothing is broken in the code)
    """Something outside has to be mended first: a missing topic, a taken port.

    The text is one line for the operator, with the remedy; it is shown as it is, without a traceback.
    """


class Service(Protocol):
    """One role's loop with its threads.

    The threads must be daemon threads: what doesn't end in time must not keep the process.
    """

    @property
    def name(self) -> str:
        """For logs: `matcher`, `sender`."""

    @property
    def failed(self) -> BaseException | None:
        """Why the service has ended by itself, else None. Read often, by the main thread; never blocks."""

    def start(self) -> None:
        """Begin, and return soon: the waiting for a broker belongs in the service's own thread. Main thread.

        Raises Refused when something outside is wrong.
        """

    def stop(self, deadline: Deadline) -> None:
        """Drain: finish or hand back what is in hand, by `deadline`. Blocks; called once, in a thread of its
        own.

        Also called on a service that has failed. Returning says that all is drained; raises when that failed.
        """


def run_services(
    services: Sequence[Service], settings: Settings, *, background: Sequence[Service] = ()
) -> int:
    """Start `services` in order, wait for SIGTERM, SIGINT or a failure, drain all of them at once; the exit
    code. `background` is what they lean on and are watched by: started before them, stopped after them.

    0 when all drained after a signal, 1 when one failed (the others are drained first). If any has not
    drained within process.shutdown_timeout, ends the process with 1 there and then. Raises what a service's
    start raises (Refused, if it is the operator's to mend), those already started drained. Main thread only;
    the signals stay taken afterwards, so that a late one can't spoil the exit code.
    """
    with _Signals() as signals:
        started: list[Service] = []
        try:
            for service in (*background, *services):
                if not signals.received:
                    service.start()
                    started.append(service)
        except BaseException:
            _drain(_waves(started, background), settings.process.shutdown_timeout)
            raise
        failed = _wait(started, signals)
        if failed is None:
            log.info("draining", extra={"fields": {"signal": signals.received}})
        drained = _drain(_waves(started, background), settings.process.shutdown_timeout, reported=failed)
        log.info("drained" if drained else "ended with a failure")
    return DRAINED if drained else FAILED


def end_process(reason: str) -> NoReturn:
    """End with exit code 1 now, whatever any thread does: for what hangs in a library."""
    log.critical("ending the process", extra={"fields": {"reason": reason}})
    # Not sys.exit: the interpreter would wait for the very threads that hang.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(FAILED)


def _wait(services: Sequence[Service], signals: "_Signals") -> Service | None:
    """Block until a signal (None) or until a service has failed (that one)."""
    while not signals.received:
        for service in services:
            if (failure := service.failed) is not None:
                _log_failure(service, failure, "failed")
                return service
        signals.wait(_LOOK_EVERY)
    return None


def _waves(started: Sequence[Service], background: Sequence[Service]) -> list[list[Service]]:
    """What to stop first, and what to stop after that."""
    return [[s for s in started if s not in background], [s for s in started if s in background]]


def _drain(waves: Sequence[Sequence[Service]], timeout: timedelta, reported: Service | None = None) -> bool:
    """Stop each wave at once, so that a slow one takes no time from the others; whether none has failed,
    now or before. One deadline for all waves.

    The failure of `reported` is in the log already.
    """
    deadline = Deadline(timeout)
    clean: list[Service] = []

    def stop(service: Service) -> None:
        try:
            service.stop(deadline)
        except Exception as error:  # noqa: BLE001  (reported here, and in the exit code)
            _log_failure(service, error, "could not drain")
        else:
            if (failure := service.failed) is None:
                clean.append(service)
            elif service is not reported:
                _log_failure(service, failure, "failed")

    for services in waves:
        stopping = {
            s.name: threading.Thread(target=stop, args=(s,), name=f"stop-{s.name}", daemon=True)
            for s in services
        }
        for thread in stopping.values():
            thread.start()
        for thread in stopping.values():
            thread.join(deadline.remaining())
        if late := [name for name, thread in stopping.items() if thread.is_alive()]:
            end_process(f"not drained within process.shutdown_timeout: {', '.join(late)}")
    return len(clean) == sum(map(len, waves))


def _log_failure(service: Service, failure: BaseException, what: str) -> None:
    expected = isinstance(failure, Refused)
    fields = {"service": service.name, "error": str(failure) or type(failure).__name__}
    log.error(f"service {what}", extra={"fields": fields}, exc_info=None if expected else failure)


class _Signals:
    """SIGTERM and SIGINT as something the main thread can wait for.

    A handler runs between two instructions of the main thread: it must not take a lock that thread may hold
    (as threading.Event.set would), so it only notes the signal, and the wake-up descriptor ends the select.
    """

    def __init__(self) -> None:
        self.received: str | None = None

    def __enter__(self) -> "_Signals":
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        self._read.close()
        self._write.close()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number).name

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or sooner at a signal."""
        if select.select([self._read], [], [], seconds)[0]:
            self._read.recv(4096)

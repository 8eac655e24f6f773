"""Logging as it was: for tests that run commands, which set it up, in this process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Undo what the block does to the root logger, to Tocsin's own and to the capture of warnings."""
    root, own = logging.getLogger(), logging.getLogger("processor")
    handlers, levels = root.handlers[:], (root.level, own.level)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        own.setLevel(levels[1])
        logging.captureWarnings(capture=False)

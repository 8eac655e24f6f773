"""Why the demo could not go on.

Exception
  DemoError      the text is one line for the person at the keyboard
    InputError   the events file can't be used; the text begins with `FILE` or `FILE, line N`
"""


class DemoError(Exception):
    """The demo ends here; everything that it started is stopped."""


class InputError(DemoError):
    """There is no such file, or a line of it is no event."""

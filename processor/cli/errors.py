"""What a command raises when it can't do what was asked: one line and an exit code, no traceback.

    Exception
      CommandError     the text is one line for the person at the keyboard
        UsageError     2: wrong flags or arguments
        CommandFailed  1: an invalid rule file, an unknown id, a missing topic, no broker in time

Wrong settings are `processor.settings.SettingsError` (2), what has to be mended outside before a role can run
is `processor.lifecycle.Refused` (1). Anything else is a bug, and shows its traceback.
"""

DONE = 0
FAILED = 1
WRONG_USAGE = 2


class CommandError(Exception):
    """The base: never raised itself."""

    exit_code = FAILED


class UsageError(CommandError):
    """The command line makes no sense."""

    exit_code = WRONG_USAGE


class CommandFailed(CommandError):  # noqa: N818  (as people say it)
    """The command line made sense, and what it asked for could not be done."""

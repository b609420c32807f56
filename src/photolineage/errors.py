"""The base class of every error that a person can fix."""


class PhotolineageError(Exception):
    """The message says what is wrong, why, and how to fix it. It names the setting and its value, if any.

    The command line prints the message and exits with code 1. A run in Dagster fails with the message and is not
    retried. No traceback is shown.
    """


class RunInterruptedError(Exception):
    """A person or the system asked the run to stop. Everything that it committed is kept."""

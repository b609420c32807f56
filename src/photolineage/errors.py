"""The base class of every error that a person can fix."""


class PhotolineageError(Exception):
    """The message says what is wrong, why, and how to fix it. It names the setting and its value, if any.

    The command line prints the message and exits with `exit_code`. A run in Dagster fails with the message and is not
    retried. No traceback is shown.
    """

    exit_code = 1


class AnotherRunError(PhotolineageError):
    """Another `photolineage run` works in the same home. The exit code is EX_TEMPFAIL: try again later."""

    exit_code = 75


class RunInterruptedError(Exception):
    """A person or the system asked the run to stop. Everything that it committed is kept."""

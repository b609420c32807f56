"""The base class of every error that a person can mend."""


class PhotolineageError(Exception):
    """The message says what is wrong, with the setting and the value if there is one, why, and what to do about it.

    The command line prints the message and exits with code 1. A run in Dagster fails with the message and is not
    retried. Neither shows a traceback.
    """


class RunInterruptedError(Exception):
    """Somebody asked the run to stop; everything it committed is kept."""

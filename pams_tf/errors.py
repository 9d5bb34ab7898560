"""The errors that commands show as a single line."""


class InputError(ValueError):
    """What the caller gave cannot be used.

    The message is one line: the value or file received, what is wrong with it, and what would be
    right. Commands print it without a traceback; any other exception is a bug and keeps its own.
    """


class BusyError(InputError):
    """Another process holds the run folder that was asked for."""

"""Errors that commands report as a single line."""


class InputError(ValueError):
    """The caller's input cannot be used.

    The message is one line: the value or file received, what is wrong with it, and what to do
    about it. Commands print it without a traceback; any other exception is a bug and keeps its
    traceback.
    """


class BusyError(InputError):
    """Another process is using the requested run folder."""

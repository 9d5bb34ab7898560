"""Errors that commands report as a single line."""


class InputError(ValueError):
    """The caller's input cannot be used.

    The message is one line: the value or file received, what is wrong with it, and what to do
    about it. Commands print it without a traceback; any other exception is a bug and keeps its
    traceback.

    Example:
      >>> import pams_tf
      >>> try:
      ...     pams_tf.QuantizationRecipe(bits=1)
      ... except pams_tf.InputError as error:
      ...     print(error)
      bits=1 is not possible; choose one of 2, 3, 4, 5, 6, 7, 8, 16

    Source: `ValueError`, which it is, too.
    """


class BusyError(InputError):
    """Another process is using the requested run folder."""

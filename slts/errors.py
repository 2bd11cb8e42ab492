"""The one exception for mistakes a user can mend."""


class UserError(Exception):
    """A mistake in what the user gave: config, file or command line.

    The message is one line that names the key or file, says what is wrong and how to mend it. Commands print it
    without a traceback and exit with status 2.
    """

"""The exception for mistakes of the user."""


# Not a ValueError: tyro would catch one raised by a dataclass of flags, and print its own message in a box.
class UserError(Exception):
    """A mistake in the user's input; the message is one line with the values.

    The command line prints the message and exits with code 2; no traceback is shown.
    """

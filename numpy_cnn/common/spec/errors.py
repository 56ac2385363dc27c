"""The one exception for a user's mistake."""


# Not a ValueError: tyro would catch one raised by a dataclass of flags, and draw a box around its own words.
class UserError(Exception):
    """A mistake in what the user typed or supplied; the message is one line with the values.

    The command line prints the message and exits with code 2; no traceback is shown.
    """

"""The one exception for mistakes a user can mend."""


class UserError(Exception):
    """A mistake of the user's, as one sentence that names the option or file and the remedy.

    The entry points print the sentence alone, without a traceback, and exit with code 1.
    """

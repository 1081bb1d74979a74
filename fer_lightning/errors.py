"""The one exception for mistakes a user can mend."""


class UserError(Exception):
    """A mistake of the user's, as one sentence that names the option or file and the remedy.

    The entry points print the sentence alone, without a traceback, and exit with code 1.
    """


class NotFiniteError(UserError):
    """NaN or infinity in an embedding, a loss, a gradient or a weight; nothing of it has been saved."""


class Interrupted(SystemExit):
    """A signal ended the run between two steps, after a checkpoint was written."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)  # what a shell reports of a process that the signal ended

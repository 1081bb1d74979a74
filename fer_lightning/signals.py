"""Signals that end a command: SIGTERM, Ctrl-C, and SIGHUP of a closed terminal.

This module imports nothing slow, since a command listens before it imports anything else.
"""

import os
import signal
import sys
from threading import Timer
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(SystemExit):
    """A signal ended the command."""

    announced = False  # whether the command that resumes the run has been logged

    def __init__(self, signum: int) -> None:
        super().__init__(signum)  # a launcher's process pickles the exception with these arguments
        self.signum = signum
        self.code = 128 + signum  # as a shell reports a process that the signal ended


class Listener:
    """Signal handler that raises an Interrupted at the first signal. A second Ctrl-C ends the process at once."""

    dropped = False  # whether Python has dropped an Interrupted of any listener, as in a finalizer

    def __init__(self) -> None:
        self.received: int | None = None  # the first signal
        self.waits = False  # whether the first signal is only remembered, until ``obey`` is called
        self.leaves = False  # whether any signal ends the process at once, since there is nothing to close

    def listen(self, *more: int) -> None:
        """Handle the signals that end a command, and more signals. Forget earlier ones."""
        self.received, self.leaves = None, False
        for signum in (*ENDING, *more):
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # nohup ignores SIGHUP
                signal.signal(signum, self._handle)

    def obey(self) -> None:
        """Raise an Interrupted if a signal was received."""
        if self.received is not None:
            raise Interrupted(self.received)

    def _handle(self, signum: int, frame: object) -> None:
        again, Listener.dropped = Listener.dropped, False
        if self.leaves or (self.received == signal.SIGINT == signum and not again):
            os._exit(128 + signum)
        if self.received is None or again:
            self.received = signum
            if not self.waits:
                raise Interrupted(signum)


def send_again(unraisable: Any) -> None:
    """Send a signal again if Python dropped its Interrupted: the ``sys.unraisablehook`` of a command."""
    if isinstance(unraisable.exc_value, Interrupted):
        Listener.dropped = True
        Timer(0.1, os.kill, (os.getpid(), unraisable.exc_value.signum)).start()
    else:
        sys.__unraisablehook__(unraisable)


def listen() -> None:
    """Handle signals for the command of this process."""
    sys.unraisablehook = send_again
    command.listen()


command = Listener()  # of this process

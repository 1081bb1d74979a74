"""Signals that end a command: SIGTERM, Ctrl-C, SIGHUP of a closed terminal, from its first line to its last.

Imports nothing that takes time: the commands listen before they import anything else.
"""

import os
import signal
import sys
from threading import Timer
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(SystemExit):
    """A signal ended the command.

    Attributes:
        signum: The signal.
        announced: Whether the command that resumes the run has been logged.
    """

    announced = False

    def __init__(self, signum: int) -> None:
        super().__init__(signum)  # what it is pickled with, on its way out of a launcher's process
        self.signum = signum
        self.code = 128 + signum  # what a shell reports of a process that the signal ended


class Listener:
    """Raises an Interrupted at the first signal; a second Ctrl-C ends the process at once.

    Attributes:
        received: The first signal; None before it.
        waits: Whether the first signal is only noted, until ``obey`` is called.
        leaves: Whether nothing is left to close, so that any signal ends the process at once.
        dropped: Whether an Interrupted, of whichever listener, was raised where Python drops exceptions.
    """

    dropped = False

    def __init__(self) -> None:
        self.received: int | None = None
        self.waits = self.leaves = False

    def listen(self, *others: int) -> None:
        """Take over the signals that end a command, and others, as if none had come before."""
        self.received, self.leaves = None, False
        for signum in (*ENDING, *others):
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # else under nohup
                signal.signal(signum, self._hear)

    def obey(self) -> None:
        """Raise an Interrupted if a signal has come."""
        if self.received is not None:
            raise Interrupted(self.received)

    def _hear(self, signum: int, frame: object) -> None:
        again, Listener.dropped = Listener.dropped, False
        if self.leaves or (self.received == signal.SIGINT == signum and not again):
            os._exit(128 + signum)
        if self.received is None or again:
            self.received = signum
            if not self.waits:
                raise Interrupted(signum)


def send_again(unraisable: Any) -> None:
    """Send a signal again whose Interrupted was raised in a finalizer, say: ``sys.unraisablehook`` of a command."""
    if isinstance(unraisable.exc_value, Interrupted):
        Listener.dropped = True
        Timer(0.1, os.kill, (os.getpid(), unraisable.exc_value.signum)).start()
    else:
        sys.__unraisablehook__(unraisable)


def listen() -> None:
    """Let signals end the command that this process runs."""
    sys.unraisablehook = send_again
    command.listen()


command = Listener()  # of the command that this process runs

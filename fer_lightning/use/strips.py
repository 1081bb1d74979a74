"""Strips: the votes of each track over the time of a video, for the page of predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fer_lightning.use.recognition import Recognition
from fer_lightning.use.tracks import GAP
from fer_lightning.words import counted, percent

COLUMNS = 240  # of a strip, at most
NARROWEST = 0.125  # seconds of a column; they double when a video has more columns than ``COLUMNS``
SHOWN = 20  # tracks on the page, those with the most faces
KEPT = 200  # tracks in memory besides those that go on
LEAST = 0.005  # share that is drawn
TICKS = 5  # times under a strip


@dataclass
class Votes:
    """Votes of one track."""

    number: int  # of the track
    start: float  # seconds
    end: float
    sums: np.ndarray  # (COLUMNS, C) sums of the votes of the faces in a column
    faces: int = 0


class Strip(NamedTuple):
    """Drawing of one track."""

    title: str
    paths: dict[str, str]  # of each class that has votes: the data of an SVG path, columns wide and 1 high


class Film(NamedTuple):
    """Drawings of the tracks of a video."""

    strips: Sequence[Strip]
    tracks: int  # number of all tracks, drawn or not
    columns: int  # of each strip
    ticks: Sequence[str]  # times, evenly from the beginning to the end


class Strips:
    """Sum the votes of each track in columns of equal time. Memory does not grow with the video."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self.width = NARROWEST
        self.votes: dict[int, Votes] = {}
        self.read = np.zeros(COLUMNS, dtype=bool)  # columns in which a frame was read
        self.column = 0  # of the last frame
        self.damaged = False  # whether frames after it could not be read
        self.tracks = 0

    def add(self, recognition: Recognition) -> None:
        """Add the votes of a frame. One without a time could not be read, or is no frame."""
        seconds = recognition.seconds
        if seconds is None:
            self.damaged = True
            return
        while seconds >= COLUMNS * self.width:
            self._double()
        column = int(seconds / self.width)
        self.read[self.column + 1 if self.damaged else column : column + 1] = True
        self.column, self.damaged = column, False
        for prediction in recognition.faces:
            number = prediction.track or 0
            if number not in self.votes:
                self._drop(seconds)
                self.votes[number] = Votes(number, seconds, seconds, np.zeros((COLUMNS, len(self.classes))))
            votes = self.votes[number]
            votes.sums[column] += [*prediction.decisive_votes.values()]
            votes.end, votes.faces = seconds, votes.faces + 1
            self.tracks = max(self.tracks, number)

    def draw(self) -> Film:
        """Return the drawings of the tracks with the most faces, by their numbers."""
        columns = int(np.flatnonzero(self.read).max(initial=0)) + 1
        most = sorted(self.votes.values(), key=lambda votes: (-votes.faces, votes.number))[:SHOWN]
        end = columns * self.width
        strips = [self._draw(votes, columns) for votes in sorted(most, key=lambda votes: votes.number)]
        return Film(strips, self.tracks, columns, [clock(end * tick / (TICKS - 1), end) for tick in range(TICKS)])

    def _draw(self, votes: Votes, columns: int) -> Strip:
        shares = votes.sums[:columns] / np.maximum(votes.sums[:columns].sum(axis=1, keepdims=True), 1e-9)
        for column in range(1, columns):
            if not self.read[column]:  # no frame was read, so the last one lasts
                shares[column] = shares[column - 1]
        bottoms, paths = np.zeros(columns), {}
        for name, heights in zip(self.classes, shares.T, strict=True):
            boxes = [
                f"M{column} {1 - bottoms[column]:.4g}h1v{-heights[column]:.4g}h-1z"
                for column in np.flatnonzero(heights >= LEAST)
            ]
            bottoms += heights
            if boxes:
                paths[name] = "".join(boxes)
        end, mean = columns * self.width, votes.sums.sum(axis=0) / votes.faces
        rows = [row for row in np.argsort(-mean, kind="stable")[:3] if mean[row] >= LEAST]
        classes = ", ".join(f"{self.classes[row]} {percent(mean[row], 0)}" for row in rows)
        period = f"{clock(votes.start, end)} to {clock(votes.end, end)}"
        return Strip(f"Track {votes.number}, {period}, {counted(votes.faces, 'face')}: {classes}", paths)

    def _double(self) -> None:
        self.width, self.column = 2 * self.width, self.column // 2
        half = COLUMNS // 2
        self.read[:half], self.read[half:] = self.read.reshape(half, 2).any(axis=1), False
        for votes in self.votes.values():
            votes.sums[:half], votes.sums[half:] = votes.sums.reshape(half, 2, -1).sum(axis=1), 0

    def _drop(self, seconds: float) -> None:
        """Drop the ended track with the fewest faces if there are too many."""
        ended = [votes for votes in self.votes.values() if votes.end < seconds - GAP]
        if len(ended) > KEPT:
            del self.votes[min(ended, key=lambda votes: (votes.faces, -votes.number)).number]


def clock(seconds: float, end: float) -> str:
    """Return a time of a video that ends at ``end`` seconds, such as ``3.1 s`` or, in a longer one, ``12:05``."""
    return f"{seconds:.1f} s" if end < 60 else f"{int(seconds // 60)}:{int(seconds % 60):02d}"

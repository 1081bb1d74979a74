"""Tracks: the faces of a video, followed from frame to frame, and their votes smoothed over time."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fer_lightning.models.calibration import Calibration
from fer_lightning.use.detectors import Box
from fer_lightning.use.model import Prediction

GAP = 1.0  # seconds for which a track waits for its face; it waits for one more frame in any case
OVERLAP = 0.1  # minimum intersection over union of the boxes of one face
ROUNDING = 1e-6  # of times, seconds
APART = 1e3  # cost of two boxes that overlap less


@dataclass
class Track:
    """One face, as long as it is followed."""

    number: int  # from 1
    box: Box | None = None  # of its last face, as the two below
    embedding: np.ndarray = field(default_factory=lambda: np.empty(0))  # (D,)
    seconds: float = 0.0
    votes: deque[tuple[float, np.ndarray]] = field(default_factory=deque)  # times and votes (C,) to smooth over


class Tracker:
    """Follow faces by the overlap of their boxes and the distance of their embeddings.

    Each frame is assigned to the live tracks at the lowest sum of costs: 1 - intersection over union, plus half the
    Euclidean distance of the embeddings. Only live tracks are kept, so memory does not grow with the video.

    Args:
        calibration: Calibration of the votes, which abstains by the smoothed ones.
        smooth: Seconds over which votes are smoothed; 0 or None: not at all.
    """

    def __init__(self, calibration: Calibration, smooth: float | None) -> None:
        self.calibration = calibration
        self.smooth = smooth
        self.live: list[Track] = []
        self.count = 0  # tracks that have begun
        self.seconds = 0.0  # time of the last frame

    def follow(self, seconds: float, predictions: Sequence[Prediction]) -> list[Prediction]:
        """Return the predictions for the faces of the next frame with their tracks, and with smoothed votes.

        Args:
            seconds: Time of the frame.
            predictions: Of each face; without a box it is the whole frame.
        """
        self.live = [track for track in self.live if track.seconds >= min(self.seconds, seconds - GAP)]
        self.seconds = seconds
        tracks = self._assign(predictions)
        for track, prediction in zip(tracks, predictions, strict=True):
            track.box, track.embedding, track.seconds = prediction.box, prediction.embedding.copy(), seconds
        return [self._with_track(prediction, track) for prediction, track in zip(predictions, tracks, strict=True)]

    def _assign(self, predictions: Sequence[Prediction]) -> list[Track]:
        """Return the track of each face, a new one where no live track fits."""
        from scipy.optimize import linear_sum_assignment  # slow to import

        costs = np.full((len(predictions), len(self.live)), APART)
        for row, prediction in enumerate(predictions):
            for column, track in enumerate(self.live):
                share = overlap(prediction.box, track.box)
                if share >= OVERLAP:
                    costs[row, column] = 1 - share + np.linalg.norm(prediction.embedding - track.embedding) / 2
        pairs = zip(*linear_sum_assignment(costs), strict=True)
        matches = {row: self.live[column] for row, column in pairs if costs[row, column] < APART}
        return [matches.get(row) or self._begin() for row in range(len(predictions))]

    def _begin(self) -> Track:
        self.count += 1
        self.live.append(Track(self.count))
        return self.live[-1]

    def _with_track(self, prediction: Prediction, track: Track) -> Prediction:
        """Return the prediction with its track, by the mean votes of the last ``smooth`` seconds of the track."""
        prediction = replace(prediction, track=track.number)
        if not self.smooth:
            return prediction
        track.votes.append((track.seconds, np.array([*prediction.votes.values()])))
        while track.votes[0][0] <= track.seconds - self.smooth + ROUNDING:
            track.votes.popleft()
        mean = np.mean([votes for _, votes in track.votes], axis=0)
        smoothed = dict(zip(prediction.votes, mean.tolist(), strict=True))
        label = max(smoothed, key=lambda name: (smoothed[name], name == prediction.label))
        distances = None if prediction.distance is None else np.array([prediction.distance])
        abstained = bool(self.calibration.abstains(np.array([smoothed[label]]), distances)[0])
        return replace(
            prediction, label=label, confidence=smoothed[label], abstained=abstained, smoothed_votes=smoothed
        )


def overlap(first: Box | None, second: Box | None) -> float:
    """Return the intersection over union of two boxes; 1 for two whole pictures."""
    if first is None or second is None:
        return float(first is second)
    width = min(first.left + first.width, second.left + second.width) - max(first.left, second.left)
    height = min(first.top + first.height, second.top + second.height) - max(first.top, second.top)
    common = max(0, width) * max(0, height)
    return common / (first.width * first.height + second.width * second.height - common)

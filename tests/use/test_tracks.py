"""Faces keep their tracks from frame to frame, and their votes are smoothed over time."""

import numpy as np
import pytest

from fer_lightning.models.calibration import Calibration
from fer_lightning.use.detectors import Box
from fer_lightning.use.model import Prediction
from fer_lightning.use.tracks import GAP, Tracker, overlap

FIRST, SECOND = np.eye(4, dtype=np.float32)[:2]  # embeddings as far apart as those of two unlike faces


def face(box: Box | None, embedding: np.ndarray, happy: float = 0.0) -> Prediction:
    """Return a prediction with this vote for happy."""
    label = "happy" if happy > 0.5 else "sad"
    votes = {"happy": happy, "sad": 1 - happy}
    return Prediction(label, votes, votes[label], None, False, np.zeros((4, 4), np.uint8), embedding, box)


def box(left: float, top: float = 0.0, side: int = 50) -> Box:
    return Box(round(left), round(top), side, side, 0.9)


def tracks(tracker: Tracker, seconds: float, *faces: tuple[Box | None, np.ndarray]) -> list[int | None]:
    """Return the numbers of the tracks of a frame's faces."""
    return [one.track for one in tracker.follow(seconds, [face(box, embedding) for box, embedding in faces])]


@pytest.mark.parametrize(
    ("other", "share"),
    [(box(0), 1), (box(25), 1 / 3), (box(50), 0), (box(60, 60), 0), (box(10, 10, 30), 900 / 2500), (None, 0)],
)
def test_overlap_is_the_intersection_over_the_union(other, share):
    assert overlap(box(0), other) == overlap(other, box(0)) == pytest.approx(share)
    assert overlap(None, None) == 1


def test_crossing_faces_keep_their_tracks():
    tracker = Tracker(Calibration(), None)
    for frame in range(21):  # they meet at frame 10, and the detector changes their order there
        faces = [(box(10 * frame), FIRST), (box(200 - 10 * frame), SECOND)]
        if frame < 10:
            assert tracks(tracker, frame / 30, *faces) == [1, 2]
        else:
            assert tracks(tracker, frame / 30, *reversed(faces)) == [2, 1]
    assert tracker.count == len(tracker.live) == 2


def test_face_that_leaves_gives_its_number_to_no_other():
    tracker = Tracker(Calibration(), None)
    assert tracks(tracker, 0.0, (box(0), FIRST), (box(300), SECOND)) == [1, 2]
    assert tracks(tracker, 0.1, (box(302), SECOND)) == [2]
    assert tracks(tracker, 0.2, (box(600), FIRST), (box(304), SECOND)) == [3, 2]
    assert tracks(tracker, 0.3) == []
    assert tracks(tracker, GAP + 0.1, (box(0), FIRST)) == [4]  # more than a gap after track 1
    assert {track.number for track in tracker.live} == {2, 3, 4}  # no embedding of track 1 is left


@pytest.mark.parametrize(("seconds", "number"), [(0.9, 1), (1.05, 1), (1.2, 2)])
def test_track_waits_for_its_face_for_a_second(seconds, number):
    tracker = Tracker(Calibration(), None)
    assert tracks(tracker, 0.1, (box(0), FIRST)) == [1]
    assert tracks(tracker, 0.2) == []
    assert tracks(tracker, seconds, (box(3), FIRST)) == [number]


def test_frames_that_lie_far_apart_are_followed_too():
    tracker = Tracker(Calibration(), None)
    assert [tracks(tracker, seconds, (box(seconds), FIRST)) for seconds in (0, 5, 10)] == [[1]] * 3
    assert tracks(tracker, 15) == []
    assert tracks(tracker, 20, (box(20), FIRST)) == [2]


def test_whole_pictures_are_one_track():
    tracker = Tracker(Calibration(), None)
    assert [tracks(tracker, frame / 30, (None, (FIRST, SECOND)[frame % 2])) for frame in range(4)] == [[1]] * 4


def smoothed(tracker: Tracker, times: list[float], happy: list[float]) -> list[Prediction]:
    """Return the predictions for a face with these votes for happy."""
    predictions = []
    for seconds, vote in zip(times, happy, strict=True):
        predictions += tracker.follow(seconds, [face(box(0), FIRST, vote)])
    return predictions


def test_smoothed_votes_are_the_mean_of_the_last_seconds_of_a_track():
    times, happy = [0.0, 0.1, 0.2, 0.3, 0.6], [1.0, 0.2, 0.0, 0.9, 0.4]
    predictions = smoothed(Tracker(Calibration(), 0.3), times, happy)
    means = [1.0, 1.2 / 2, 1.2 / 3, 1.1 / 3, 0.4]  # the vote of 0.0 is too old at 0.3, that of 0.3 at 0.6
    assert [one.smoothed_votes["happy"] for one in predictions] == pytest.approx(means)
    assert [one.votes["happy"] for one in predictions] == happy
    assert [one.label for one in predictions] == ["happy", "happy", "sad", "sad", "sad"]
    assert [one.confidence for one in predictions] == pytest.approx([1, 0.6, 0.6, 1.9 / 3, 0.6])


@pytest.mark.parametrize("off", [0, None])
def test_nothing_is_smoothed_by_default(off):
    predictions = smoothed(Tracker(Calibration(), off), [0.0, 0.1], [1.0, 0.2])
    assert [(one.label, one.smoothed_votes, one.track) for one in predictions] == [("happy", None, 1), ("sad", None, 1)]


def test_tracks_do_not_share_their_votes_and_abstain_by_the_smoothed_ones():
    tracker = Tracker(Calibration(temperature=1.0, smoothing=0.1, confidence=0.7), 9)
    for seconds in (0.0, 0.1):
        predictions = tracker.follow(seconds, [face(box(0), FIRST), face(box(300), SECOND, 0.8)])
        assert [one.smoothed_votes["happy"] for one in predictions] == [0, pytest.approx(0.8)]
    faces = [face(box(0), FIRST, 0.8), face(box(300), SECOND, 0.8)]
    predictions = tracker.follow(0.2, faces)
    assert [one.label for one in predictions] == ["sad", "happy"]
    assert [one.abstained for one in predictions] == [False, False]  # 2.2 of 3 votes are sad
    assert [one.abstained for one in tracker.follow(0.3, faces)] == [True, False]  # 2.4 of 4

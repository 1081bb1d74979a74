"""Strips show the votes of each track over time, of a video of any length."""

import re
from dataclasses import replace

import numpy as np
import pytest

from fer_lightning.use.model import Prediction
from fer_lightning.use.recognition import Recognition
from fer_lightning.use.strips import COLUMNS, KEPT, SHOWN, Strips, clock

FACE = np.zeros((4, 4), np.uint8)


def frame(seconds: float | None, **happy: float) -> Recognition:
    """Return a frame in which tracks, such as t1, have these votes for happy; the others are sad."""
    faces = [
        Prediction("sad", {"happy": vote, "sad": 1 - vote}, 1.0, None, False, FACE, FACE[0], track=int(name[1:]))
        for name, vote in happy.items()
    ]
    return Recognition("film.mp4", 0, None, None, faces, seconds)


def boxes(path: str) -> list[tuple[float, ...]]:
    """Return column, bottom and height of each box of a path."""
    pattern = re.compile(r"M(\d+) ([\d.e-]+)h1v-([\d.e-]+)h-1z")
    return [tuple(map(float, match)) for match in pattern.findall(path)]


def test_votes_are_stacked_in_columns_of_an_eighth_of_a_second():
    strips = Strips(["happy", "sad"])
    for recognition in (frame(0.0, t1=1.0), frame(0.05, t1=0.5), frame(0.15), frame(0.4, t1=0.2, t2=0.0)):
        strips.add(recognition)
    film = strips.draw()
    assert (film.columns, film.tracks, film.ticks) == (4, 2, ["0.0 s", "0.1 s", "0.2 s", "0.4 s", "0.5 s"])
    first, second = film.strips
    assert first.title == "Track 1, 0.0 s to 0.4 s, 3 faces: happy 57 %, sad 43 %"
    assert boxes(first.paths["happy"]) == [(0, 1, 0.75), (3, 1, 0.2)]  # at 0.15 s it was not found
    assert boxes(first.paths["sad"]) == [(0, 0.25, 0.25), (3, 0.8, 0.8)]
    assert list(second.paths) == ["sad"]


def test_smoothed_votes_are_drawn_where_there_are_some():
    recognition = frame(0.0, t1=1.0)
    smoothed = replace(recognition.faces[0], smoothed_votes={"happy": 0.25, "sad": 0.75})
    strips = Strips(["happy", "sad"])
    strips.add(recognition._replace(faces=[smoothed]))
    assert boxes(strips.draw().strips[0].paths["happy"]) == [(0, 1, 0.25)]


def test_frame_lasts_until_the_next_one():
    strips = Strips(["happy", "sad"])
    for recognition in (frame(0.0, t1=1.0), frame(0.5), frame(0.8, t1=0.4)):
        strips.add(recognition)
    assert boxes(strips.draw().strips[0].paths["happy"]) == [*((n, 1, 1) for n in range(4)), (6, 1, 0.4)]


def test_frame_does_not_last_through_a_damaged_part():
    strips = Strips(["happy", "sad"])
    for recognition in (frame(0.0, t1=1.0), frame(None), frame(0.5, t1=1.0), frame(0.8, t1=1.0)):
        strips.add(recognition)
    assert [column for column, *_ in boxes(strips.draw().strips[0].paths["happy"])] == [0, 4, 5, 6]


def test_long_film_has_wider_columns_and_no_more_memory():
    strips = Strips(["happy", "sad"])
    for seconds in range(3600):
        strips.add(frame(float(seconds), t1=float(seconds < 1800)))
    film = strips.draw()
    assert (strips.width, film.columns) == (16, 225)
    assert film.ticks == ["0:00", "15:00", "30:00", "45:00", "60:00"]
    happy = boxes(film.strips[0].paths["happy"])
    assert [height for *_, height in happy[:112]] == [1] * 112
    assert happy[112] == (112, 1, 0.5)  # 1792 to 1808 s
    assert len(happy) == 113
    assert strips.votes[1].sums.shape == (COLUMNS, 2)
    assert strips.votes[1].sums.sum() == 3600


def test_page_has_the_tracks_with_the_most_faces():
    strips, number = Strips(["happy", "sad"]), 2 * KEPT
    for track in range(1, number + 1):
        for repetition in range(2 if track % 10 == 5 else 1):
            strips.add(frame(2.0 * track + repetition / 10, **{f"t{track}": 1.0}))
    assert len(strips.votes) <= KEPT + 2
    film = strips.draw()
    assert (film.tracks, len(film.strips)) == (number, SHOWN)
    assert [int(strip.title.split()[1].strip(",")) for strip in film.strips] == list(range(5, 200, 10))


def test_pictures_have_no_strips():
    strips = Strips(["happy", "sad"])
    strips.add(frame(None, t1=1.0)._replace(frame=None))
    assert strips.draw().strips == []


@pytest.mark.parametrize(
    ("seconds", "end", "text"), [(3.14, 59, "3.1 s"), (3.14, 60, "0:03"), (125, 300, "2:05"), (7325, 8000, "122:05")]
)
def test_clock(seconds, end, text):
    assert clock(seconds, end) == text

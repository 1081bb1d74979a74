"""Photos of strangers are decoded in a process of their own, or refused."""

import sys
import time

import numpy as np
import pytest
from PIL import Image

from fer_lightning.errors import UserError
from fer_lightning.use import photos
from tests.use.photos import bomb, encoded


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty or no picture"),
        (b"<script>alert(1)</script>", "empty or no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "empty or no picture"),
        (bomb(40_000), "more than 50,000,000 pixels"),
        (bomb(100), "truncated"),
        (encoded(Image.fromarray(np.full((9, 9), 0.5, np.float32)), "TIFF"), "floating-point grey values"),
    ],
    ids=["empty", "script", "postscript", "bomb", "cut_off", "floats"],
)
def test_what_is_no_photo_is_one_sentence(data, words):
    with pytest.raises(UserError, match=rf"^this is no photo that can be read: .*{words}"):
        photos.decode(data, 20)


def test_decoding_that_takes_too_long_or_breaks_down_is_ended(monkeypatch, tmp_path):
    slow = tmp_path / "slow"
    monkeypatch.setattr(sys, "executable", str(slow))
    for body, words in (
        ("exec sleep 60", "takes longer than 0.5 s to decode"),
        ("kill -9 $$", "its decoder broke down"),
    ):
        slow.write_text(f"#!/bin/sh\n{body}\n")
        slow.chmod(0o755)
        start = time.monotonic()
        with pytest.raises(UserError, match=words):
            photos.decode(b"x", 0.5)
        assert time.monotonic() - start < 10

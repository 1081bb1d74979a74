"""Films whose frames have the times that a test gives them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def write_film(path: Path, pictures: Sequence[np.ndarray], times: Sequence[int]) -> None:
    """Write pictures (H, W, 3) uint8 as an .mp4 or .mkv; the times are in thirtieths of a second."""
    height, width = pictures[0].shape[:2]
    settings = [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1]  # pictures that are encoded already; only these take times
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 30, (width, height), settings)
    for picture, time in zip(pictures, times, strict=True):
        writer.set(cv2.VIDEOWRITER_PROP_PTS, time)
        writer.write(cv2.imencode(".jpg", picture)[1])
    writer.release()

"""Photos to send to the page, what finds their faces, and a viewer that can be held back."""

import struct
import threading
import zlib
from http.client import HTTPConnection
from io import BytesIO

from PIL import Image

from fer_lightning.use.detectors import Box, Detector, cut
from fer_lightning.use.prediction_page import Viewer

PLACES = (Box(10, 20, 60, 60, 0.9), Box(120, 30, 50, 50, 0.8))
MOST = 60_000  # bytes of a photo; what is larger by one still comes whole, and so no reset overtakes the answer


class Eyes(Detector):
    """Finds a face for each hundred pixels of a picture's width."""

    note = "faces found by Eyes"

    def __call__(self, picture):
        return [(place, cut(picture, place)) for place in PLACES[: picture.width // 100]]


def encoded(picture: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **settings)
    return file.getvalue()


def bomb(side: int) -> bytes:
    """A PNG whose header promises side x side pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


class Waiting(Viewer):
    """A viewer whose answer can be held back."""

    gate = threading.Event()

    def analyse(self, data):
        self.gate.wait(20)
        return super().analyse(data)


def send(port: int, body: object, method: str = "POST", path: str = "/photo", **headers: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()

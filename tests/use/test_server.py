"""Uploads: how many, how large, how long, from where."""

import threading
import time
from http.client import HTTPConnection

from tests.use.photos import MOST, PLACES, encoded, send


def test_uploads_are_limited_and_nothing_is_kept(page, onto, monkeypatch, tmp_path):
    port, taker = page
    gate = taker.viewer.gate
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    good = encoded(onto((220, 120), PLACES[0][:3], PLACES[1][:3]))
    status, text = send(port, good)
    assert (status, text.count('class="face"')) == (200, 2)
    too_large = (413, "the photo is larger than 60,000 bytes: give a smaller one")
    assert send(port, bytes(MOST + 1)) == too_large
    chunks = {"Transfer-Encoding": "chunked"}  # its size is not announced
    assert send(port, iter([bytes(MOST), b"1"]), **chunks) == too_large
    assert send(port, b"no photo") == (422, "this is no photo that can be read: empty or no picture")
    assert send(port, good, Origin="http://evil.example") == (403, "photos are taken from this page alone")
    assert send(port, good, Host="evil.example")[0] == 400
    assert send(port, None, "GET")[0] == 405
    assert send(port, None, "GET", "/../../etc/passwd")[0] == 404
    gate.clear()  # one photo is at work: the next is told to come again
    first: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: first.append(send(port, good)))
    thread.start()
    while not taker.at_work:
        time.sleep(0.01)
    assert send(port, good) == (503, "the server works on 1 photo: try again in a moment")
    gate.set()
    thread.join()
    assert first[0][0] == 200
    assert send(port, good)[0] == 200  # whatever came before, there is room again
    assert list(tmp_path.iterdir()) == []


def test_upload_that_does_not_come_is_given_up(page):
    port, _ = page
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/photo")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"half")
    reply = connection.getresponse()
    assert (reply.status, reply.read()) == (408, b"the photo took longer than 2 s to come: try again")
    connection.close()

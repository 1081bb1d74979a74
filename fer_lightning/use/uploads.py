"""Pictures that somebody hands in, decoded in a process of their own, which is ended where it takes too long."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from fer_lightning.data.decoding import flatten, open_upright, reason
from fer_lightning.errors import UserError
from fer_lightning.names import printable

PACKAGE = Path(__file__).parents[2]  # where the package lies, for the process to find it
REFUSED = 3  # exit code of the process where it says why


def decode(data: bytes, seconds: float) -> Image.Image:
    """Return a picture as ``predict`` takes it: decoded in full, upright, grey or colour, 8 bits.

    Args:
        data: Content of a picture file; a stranger's may be given.
        seconds: How long decoding may take, the start of its process (about 0.2) included.

    Raises:
        UserError: If it is no picture, has too many pixels, or takes too long.
    """
    command = [sys.executable, "-W", "ignore", "-m", "fer_lightning.use.uploads"]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=seconds, cwd=PACKAGE, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"the photo takes longer than {seconds:g} s to decode: give a smaller one") from None
    if done.returncode:
        said = done.stdout.decode(errors="replace") if done.returncode == REFUSED else "its decoder broke down"
        raise UserError(f"this is no photo that can be read: {printable(said)}")
    picture = Image.open(BytesIO(done.stdout), formats=["PPM"])
    picture.load()
    return picture


def main() -> None:
    """Decode what comes in and hand it on as a plain grid of pixels, or say why not."""
    try:
        flatten(open_upright(BytesIO(sys.stdin.buffer.read()), [])).save(sys.stdout.buffer, "PPM")
    except Exception as error:  # decoders raise almost anything on damaged files
        sys.stdout.buffer.write(reason(error).encode(errors="replace"))
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()

"""Photos of strangers, decoded in a process of their own, which a time limit ends."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from fer_lightning.data.decoding import flatten, open_upright, reason
from fer_lightning.errors import UserError
from fer_lightning.names import printable

FOLDER = Path(__file__).parents[2]  # of the package, where the process imports it
REFUSED = 3  # exit code of the process after it has printed why it cannot decode the photo


def decode(data: bytes, seconds: float) -> Image.Image:
    """Return a photo in the form that ``predict`` uses: decoded in full, upright, grey or colour, 8 bits.

    Args:
        data: Content of a picture file; it may be hostile.
        seconds: Time limit, with the start of the process (about 0.2).

    Raises:
        UserError: If it is no picture, has too many pixels, or takes too long.
    """
    command = [sys.executable, "-W", "ignore", "-m", "fer_lightning.use.photos"]
    try:
        process = subprocess.run(command, input=data, capture_output=True, timeout=seconds, cwd=FOLDER, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"the photo takes longer than {seconds:g} s to decode: give a smaller one") from None
    if process.returncode:
        refused = process.returncode == REFUSED
        problem = process.stdout.decode(errors="replace") if refused else "its decoder broke down"
        raise UserError(f"this is no photo that can be read: {printable(problem)}")
    photo = Image.open(BytesIO(process.stdout), formats=["PPM"])
    photo.load()
    return photo


def main() -> None:
    """Decode the photo on standard input and print its pixels, or print why it cannot be decoded."""
    try:
        flatten(open_upright(BytesIO(sys.stdin.buffer.read()), [])).save(sys.stdout.buffer, "PPM")
    except Exception as error:  # decoders raise almost anything on damaged files
        sys.stdout.buffer.write(reason(error).encode(errors="replace"))
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()

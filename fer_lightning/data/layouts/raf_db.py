"""RAF-DB as published: ``EmoLabel/list_patition_label.txt`` beside ``Image/aligned/`` or ``Image/original/``."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from fer_lightning.data.faces import CLASSES
from fer_lightning.data.layouts import Contents, Entry
from fer_lightning.data.listing import Listing, is_picture, remark
from fer_lightning.errors import UserError
from fer_lightning.names import write_name

LIST = "list_patition_label.txt"  # spelt so by its authors
NUMBERS = dict(zip("1234567", ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), strict=True))


def find(listing: Listing, classes: Sequence[str] | None) -> Contents | None:
    """Return the pictures of the list in the source."""
    lists = [name for name in listing.names if PurePosixPath(name).name == LIST and "compound" not in name.lower()]
    if not lists:
        return None
    root = PurePosixPath(lists[0]).parents[1]
    folders = {str(PurePosixPath(name).parent) for name in listing.names if is_picture(name)}
    if not folders:
        return None
    images = sorted(name for name in ("aligned", "original") if str(root / "Image" / name) in folders)
    if len(images) > 1:
        path = listing.path / root
        unpack = "" if listing.path.is_dir() else "unpack it, and "
        raise UserError(
            f"{listing.path} holds RAF-DB's pictures twice, {' and '.join(images)}: {unpack}choose by "
            f"data.root={path}/Image/aligned data.labels={path}/EmoLabel/{LIST}, or the same with original"
        )
    with listing.open_text(lists[0]) as file:
        return read(listing, file.read())


def read(listing: Listing, text: str) -> Contents:
    """Return the pictures of RAF-DB's list, sorted by name.

    Args:
        listing: Files with the pictures, such as ``train_00001_aligned.jpg`` or ``train_00001.jpg``.
        text: The list, with lines such as "train_00001.jpg 5".

    Raises:
        UserError: If a line has another form or number.
    """
    pictures = {PurePosixPath(name).name: name for name in listing.names if is_picture(name)}
    entries, missing = list[Entry](), list[tuple[str, str]]()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        file, _, label = line.strip().rpartition(" ")
        split = file.partition("_")[0]
        if label not in NUMBERS or split not in ("train", "test"):
            raise UserError(
                f"{LIST} of {listing.path}, line {number}: {line!r:.60} is no train_ or test_ file with a number "
                "from 1 (surprise) to 7 (neutral); other labels go to data.labels=list.csv, under another name"
            )
        picture = pictures.pop(file.replace(".", "_aligned."), None) or pictures.pop(file, None)
        if picture is None:
            missing.append((write_name(file), "not there"))
        else:
            entries.append(Entry(write_name(picture), split, NUMBERS[label], picture))
    listing.remarks.update(remark("Pictures that are not in the list ignored", list(pictures.values())))
    return Contents(sorted(entries), CLASSES, "label", missing)

"""Class folders without a split."""

from fer_lightning.data.layouts import find_classes, find_contents
from fer_lightning.data.listing import list_folder
from tests.data.sources import write_folder


def contents(root):
    return find_contents(list_folder(root), None)


def test_class_folders_give_entries_without_a_split(tmp_path):
    names = (
        "CK+48/anger/S010_004_00000017.png",
        "CK+48/happy/S011_006_00000011.png",
        "CK+48/happy/S011_006_00000012.png",
    )
    root = write_folder(dict.fromkeys([*names, "CK+48/notes.txt", "loose.png"], b""), tmp_path / "a")
    entries = contents(tmp_path / "a").entries
    assert [(entry.name, entry.split, entry.label, entry.picture) for entry in entries] == [
        (name.removeprefix("CK+48/"), "", name.split("/")[1], name) for name in names
    ]
    assert find_classes(root) == ("angry", "happy")


def test_other_folders_are_no_classes(tmp_path):
    for number, names in enumerate(
        (
            ("images/1.png", "angry/1.png"),  # a folder called images is no class
            ("train/1.png", "test/1.png"),  # nor is a split
            ("a/angry/1.png", "a/happy/1.png", "b/angry/1.png", "b/happy/1.png"),  # two trees
            ("1.png", "2.png"),
        )
    ):
        write_folder(dict.fromkeys(names, b""), tmp_path / str(number))
        assert contents(tmp_path / str(number)) is None

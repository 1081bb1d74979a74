"""Folders, zip archives and csv files: what they list, and what is refused before it is read."""

import zipfile

import pytest

from fer_lightning.data.listing import check_source
from fer_lightning.errors import UserError


def test_a_source_is_looked_at_before_it_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "whole.zip").read_bytes()[:-10])
    (tmp_path / "faces.csv").write_text("")
    check_source(tmp_path / "whole.zip")
    check_source(tmp_path / "faces.csv")
    check_source(tmp_path)
    with pytest.raises(UserError, match=r"cut\.zip \(\d+ bytes\) is no whole zip archive"):
        check_source(tmp_path / "cut.zip")

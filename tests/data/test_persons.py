"""Who is shown in a face: by a pattern, by the source, or by CK+48's names."""

from dataclasses import replace

import numpy as np
import pytest

from fer_lightning.data.persons import name_persons
from fer_lightning.errors import UserError


@pytest.fixture
def named(faces):
    names = [f"happy/S{row // 5:03}_004_{row:08}.png" for row in range(140)]
    return replace(faces, names=np.array(names))


def test_names_of_ck48_need_no_pattern(named, faces):
    assert name_persons(named, None).persons.tolist() == [f"S{row // 5:03}" for row in range(140)]
    assert name_persons(faces, None).persons is None
    one_other = replace(named, names=np.array([*named.names[:-1], "happy/1.png"]))
    assert name_persons(one_other, None).persons is None


def test_a_pattern_is_searched_in_the_name_and_comes_before_the_source(named):
    listed = replace(named, persons=np.full(140, "Ann"))
    assert name_persons(listed, None) is listed
    assert name_persons(listed, r"_(\d+)\.").persons[:2].tolist() == ["00000000", "00000001"]
    with pytest.raises(
        UserError, match=r"data.person=\(happy\) finds no person in the names of 140 of 140 files: happy/S"
    ):
        name_persons(named, "(happy)")  # a folder
    with pytest.raises(UserError, match=r"names of 5 of 140 files: happy/S003_004_00000015.png; .* and 2 more; give"):
        name_persons(named, "(S00[0-24-9]|S0[12])")

"""Slices of made up faces whose answer is known."""

import numpy as np
import pytest
from scipy.stats import binom

from fer_lightning.data.partition import Partition
from fer_lightning.data.twins import Twins
from fer_lightning.report.slices import columns_of, measure, read_slices, write_slices


def test_only_a_slice_whose_interval_leaves_the_mean_is_called_worse(tmp_path):
    random = np.random.default_rng(0)
    right = random.random(1000) < 0.7
    age = np.repeat(["young", "old", "", "very old"], [500, 470, 5, 25])
    right[500:970] = np.arange(470) < 235  # half of the old
    right[975:] = False  # all of the few
    found = measure({"age": age, "one": np.full(1000, "same")}, right, np.arange(1000))
    assert [(entry.value, entry.faces, entry.judgement) for entry in found] == [
        ("old", 470, "worse"),
        ("very old", 25, ""),  # too few to be called worse
        ("young", 500, "better"),
    ]
    assert (found[0].low, found[0].high) == pytest.approx(binom(470, 0.5).ppf([0.025, 0.975]) / 470, abs=0.006)
    write_slices(tmp_path, found)
    assert [entry[:3] for entry in read_slices(tmp_path)] == [entry[:3] for entry in found]
    assert read_slices(tmp_path)[1].judgement == ""
    assert str(found[0]).startswith("age old: 50.0 % of 470 faces (45.")
    assert (found[1].accuracy, found[1].low, found[1].high) == (0, pytest.approx(0), pytest.approx(0.1332, abs=1e-4))


def test_twins_are_one_observation():
    half = np.arange(100) % 2 == 0
    slices = [measure({"half": half.astype(str)}, half, groups)[0] for groups in (np.arange(100), np.arange(100) // 10)]
    assert [(entry.accuracy, entry.high) for entry in slices] == [
        (0, pytest.approx(0.0713, abs=1e-4)),
        (0, pytest.approx(0.2775, abs=1e-4)),
    ]


def test_numbers_are_cut_into_quarters_and_rare_texts_joined():
    right = np.ones(80, bool)
    grey = np.arange(80.0)
    years = np.array([str(year) for year in range(70)] + [""] * 10)
    towns = np.array([f"town {number % 20}" if number > 40 else "home" for number in range(80)])
    found = measure({"grey": grey, "years": years, "towns": towns}, right, np.arange(80))
    assert [entry.value for entry in found if entry.column == "grey"] == ["0 to 19", "20 to 39", "40 to 59", "60 to 79"]
    assert [entry.faces for entry in found if entry.column == "years"] == [18, 17, 17, 18]
    assert len([entry for entry in found if entry.column == "towns"]) == 12
    assert sum(entry.faces for entry in found if entry.column == "towns") == 80


def test_columns_of_faces_by_hand(faces):
    groups = np.arange(140)
    groups[[10, 70, 71]] = [3, 0, 1]
    twins = Twins(groups, groups, np.empty((0, 2), int), np.empty(0, str))
    train, test = np.arange(70), np.arange(70, 140)
    partition = Partition("folder", faces, np.arange(140), twins, train, train, test, test, "little")
    described = {"town": np.array(["a", "b"] * 70)}
    columns = columns_of(partition, test[:3], described)
    assert columns["brightness (mean grey)"] == pytest.approx(faces.images[70:73].mean(axis=(1, 2)))
    assert columns["size of the group of twins"].tolist() == ["2", "2", "1"]
    assert columns["twin in training"].tolist() == ["yes", "yes", "no"]
    assert columns["town"].tolist() == ["a", "b", "a"]
    assert columns_of(partition, test[:1], {"town": np.array(["c"] * 70)})["town"] == ["c"]  # of another data set's
    flat = columns["sharpness"][0]
    assert flat > 100  # noise has sharp edges

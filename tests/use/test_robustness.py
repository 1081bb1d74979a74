"""Changed faces and what they cost: the changes themselves, the command, its files and the run's report."""

from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from fer_lightning.data.augmentation import Cover
from fer_lightning.errors import UserError
from fer_lightning.report.stress import by_change, mean_remains, read_stress
from fer_lightning.use.answers import Answers
from fer_lightning.use.robustness import Stress
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def standard() -> Stress:
    """What conf/stress/standard.yaml makes."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return instantiate(compose("stress", overrides=["checkpoint=x"]).stress, _convert_="all")


def test_each_change_has_three_rising_strengths(standard, drawn):
    assert [strength for _, strength, _, _ in standard.steps] == [1, 2, 3] * 12
    faces = drawn[0][:20]
    for start in range(0, 36, 3):
        changed = [
            np.mean([np.abs(chain(face, 1, row).astype(float) - face).mean() for row, face in enumerate(faces)])
            for *_, chain in standard.steps[start : start + 3]
        ]
        assert 0 < changed[0] < changed[1] < changed[2], standard.steps[start][0]
    noise = next(chain for name, *_, chain in standard.steps if name == "noise")
    assert (noise(faces[0], 1, 0) == noise(faces[0], 1, 0)).all()
    assert (noise(faces[0], 1, 0) != noise(faces[0], 1, 1)).any()


def test_light_contrast_and_cover_do_what_they_say(standard):
    grey = np.full((48, 48), 200, np.uint8)
    found = {(name, strength): chain(grey, strength, 0) for name, strength, _, chain in standard.steps}
    values = {step: int(np.unique(found[step]).item()) for step in found if step[0] in ("darker", "brighter")}
    assert list(values.values()) == [100, 50, 20, 255, 255, 255]
    assert np.unique(found["less_contrast", 3]).item() == 134  # 0.1 x 200 + 0.45 x 255, cut to a whole grey
    covered = Cover(left=0.25, right=0.75, top=0.5, bottom=1.0, fill=7, p=1.0).apply(grey[:, :, None])
    assert (covered == 7).sum() == 24 * 24
    assert (covered[24:, 12:36] == 7).all()


def test_accuracy_of_a_model_that_sees_only_light(standard):
    def answer(faces, batch_size):
        return Answers((faces.mean(axis=(1, 2)) < 60).astype(np.int64), None, None)

    images, labels = np.full((40, 48, 48), 200, np.uint8), np.repeat([0, 1], [30, 10])
    model = SimpleNamespace(answer=answer, classes=("bright", "dark"))
    outcomes = standard(model, images, labels, np.arange(40), 32)
    assert (outcomes[0].accuracy, outcomes[0].remains) == (0.75, 1.0)
    darker = by_change(outcomes)["darker"]
    assert [outcome.accuracy for outcome in darker] == [0.75, 0.25, 0.25]
    assert [outcome.remains for outcome in darker] == [1.0, pytest.approx(1 / 3), pytest.approx(1 / 3)]
    assert darker[0].low < 0.75 < darker[0].high
    others = [outcome.accuracy for outcome in outcomes if outcome.change not in ("darker", "as they are")]
    assert set(others) == {0.75}
    assert mean_remains(outcomes) == pytest.approx(1 - 2 / 3 * 2 / 36)
    assert standard.sample(np.arange(100, 200), 5).tolist() == standard.sample(np.arange(100, 200), 5).tolist()


def test_damaged_stress_json_is_named(tmp_path):
    (tmp_path / "stress.json").write_text("{}")
    with pytest.raises(UserError, match=r"stress\.json is damaged .*: run the stress test again"):
        read_stress(tmp_path, None)
    assert read_stress(tmp_path / "none", None) == []

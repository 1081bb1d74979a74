"""A search draws options, prunes trials and tells its study how they ended."""

import contextlib
import sqlite3

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

from fer_lightning.errors import UserError
from hydra_plugins.fer_lightning_search import distribution, explaining, outcome


def drawn_from(text):
    (override,) = OverridesParser.create().parse_overrides([f"x={text}"])
    return distribution(override)


def test_what_options_are_drawn_from():
    distributions = pytest.importorskip("optuna.distributions", reason="needs the extra optuna")
    assert drawn_from("interval(0.1,2.0)") == distributions.FloatDistribution(0.1, 2.0)
    assert drawn_from("tag(log,interval(1e-5,1e-2))") == distributions.FloatDistribution(1e-5, 1e-2, log=True)
    assert drawn_from("int(interval(1,8))") == distributions.IntDistribution(1, 8)
    assert drawn_from("range(1,8,2)") == distributions.IntDistribution(1, 7, step=2)  # 1, 3, 5, 7
    assert drawn_from("range(0.5,2)") == distributions.CategoricalDistribution([0.5, 1.5])
    assert (
        drawn_from("choice(adam,sgd)")
        == drawn_from("adam,sgd")
        == distributions.CategoricalDistribution(["adam", "sgd"])
    )


def test_a_failed_trial_is_told_as_failed():
    pytest.importorskip("optuna", reason="needs the extra optuna")
    assert outcome({}, JobReturn(status=JobStatus.FAILED))["state"].name == "FAIL"


def test_a_study_that_cannot_be_read_is_named(tmp_path):
    optuna = pytest.importorskip("optuna", reason="needs the extra optuna")
    path = tmp_path / "study.db"
    storage = f"sqlite:///{path}"

    def refusal() -> str:
        with pytest.raises(UserError) as refused, explaining(storage):
            optuna.create_study(storage=storage, study_name="search", load_if_exists=True)
        return str(refused.value)

    remedy = f": move it away, and sweep.resume={tmp_path} begins the search again"
    path.write_bytes(b"no database" * 100)
    assert f"the study {path} cannot be read (file is not a database){remedy}" in refusal()
    path.unlink()
    optuna.create_study(storage=storage, study_name="search")
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("update alembic_version set version_num='v99'")
        database.commit()
        assert remedy in refusal()
    with pytest.raises(ZeroDivisionError), explaining(storage):
        print(1 / 0)

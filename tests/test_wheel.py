"""The wheel holds everything that the checkout runs on, and runs outside it."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, ROOT, options


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder into which a wheel of this checkout is installed."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name in ("fer_lightning", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", source, "--no-deps", "--no-build-isolation", "--wheel-dir", source / "dist"]
    subprocess.run(wheel, check=True, capture_output=True)
    (built,) = (source / "dist").glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", target, built], check=True, capture_output=True)
    return target


def test_every_folder_and_file_of_the_package_is_listed():
    """What pyproject.toml puts into a wheel, read without building one."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    source = [
        path for path in (ROOT / "fer_lightning").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in source if path.suffix == ".py"}
    assert set(setuptools["packages"]) == {*folders, "fer_lightning.conf", "hydra_plugins"}
    data = {path for name, patterns in setuptools["package-data"].items() for path in files_of(name, patterns)}
    assert {path for path in source if path.suffix != ".py"} <= data
    assert {path for path in (ROOT / "conf").rglob("*") if path.is_file()} <= data


def files_of(package: str, patterns: list[str]) -> list[Path]:
    """Return the files that belong to a package besides its modules."""
    folder = ROOT / ("conf" if package == "fer_lightning.conf" else package.replace(".", "/"))
    return [path for pattern in patterns for path in folder.glob(pattern) if path.is_file()]


@pytest.mark.long
def test_the_wheel_has_every_file(installed):
    def files(folder: Path) -> set[str]:
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        return {name for name in found if "__pycache__" not in name}

    expected = files(ROOT / "fer_lightning") | {f"conf/{name}" for name in files(ROOT / "conf")}
    assert files(installed / "fer_lightning") == expected
    assert files(installed / "hydra_plugins") == files(ROOT / "hydra_plugins")


@pytest.mark.long
def test_the_installed_package_audits_trains_and_reports(installed, tmp_path):
    environment = {**ENVIRONMENT, "PYTHONPATH": str(installed)}

    def execute(*arguments: str) -> str:
        script = [sys.executable, installed / "bin/fer-lightning", *arguments]
        done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    execute("audit", "data.drawn.count=200", "logger=csv", "hydra.run.dir=audit")
    assert "Audit of synthetic faces" in (tmp_path / "audit/audit.html").read_text()
    execute("train", *options("small", "brief"), "hydra.run.dir=run")
    assert "epoch on synthetic faces" in (tmp_path / "run/report.html").read_text()
    os.remove(tmp_path / "run/report.html")
    assert execute("report", "run") == "written: run/report.html\n"
    assert (tmp_path / "run/report.html").is_file()

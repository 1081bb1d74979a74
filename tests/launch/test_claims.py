"""One process a folder: claims, and folders that are taken back."""

import pytest

from fer_lightning.launch.claims import claim, release, withdraw


@pytest.fixture
def released():
    yield
    release()


@pytest.mark.usefixtures("released")
class TestWithdrawal:
    """A claimed folder is taken back while nothing has begun in it, and what stood there before stays."""

    def test_folders_that_were_made_for_it_go_with_it(self, tmp_path):
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "other").touch()
        claim("run", tmp_path / "logs/runs/one", "")
        (tmp_path / "logs/runs/one/.hydra").mkdir()
        (tmp_path / "logs/runs/one/train.log").touch()
        assert withdraw("run")
        assert [path.name for path in tmp_path.rglob("*")] == ["logs", "other"]
        assert not withdraw("run")

    @pytest.mark.parametrize("name", ["notes.txt", ".hydra"])
    def test_what_stood_there_stays(self, tmp_path, name):
        (tmp_path / "mine.txt").touch()
        (tmp_path / name).touch()
        claim("run", tmp_path, "")
        (tmp_path / "train.log").touch()
        assert withdraw("run")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"mine.txt", name})

    @pytest.mark.parametrize(("what", "name"), [("run", "server.log"), ("run", ".hydra"), ("sweep", "study.db")])
    def test_a_folder_of_logs_or_settings_alone_stays(self, tmp_path, what, name):
        (tmp_path / name).touch()
        claim(what, tmp_path, "")
        (tmp_path / "train.log").touch()
        assert withdraw(what)
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_the_folder_of_a_job_goes_with_what_hydra_made(self, tmp_path):
        for name in ("new", "old"):
            (tmp_path / name / ".hydra").mkdir(parents=True)
            (tmp_path / name / "train.log").touch()
        (tmp_path / "old" / "server.log").touch()
        for name in ("new", "old"):
            claim("run", tmp_path / name, "", {".hydra", "train.log"})
            assert withdraw("run")
        assert sorted(path.name for path in tmp_path.rglob("*")) == [".hydra", "old", "server.log", "train.log"]

    @pytest.mark.parametrize("existed", [False, True])
    def test_a_folder_in_which_something_has_begun_stays(self, tmp_path, existed):
        config = tmp_path / "config.yaml"
        if existed:
            config.write_text("seed: 0")
        claim("run", tmp_path, "")
        config.write_text("seed: 1")
        (tmp_path / "train.log").touch()
        assert not withdraw("run")
        assert (tmp_path / "train.log").is_file()

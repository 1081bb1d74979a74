"""Options of a trained run that point to files which are gone."""

from fer_lightning.launch import trained


def test_corrections_that_are_gone_stop_no_verb(monkeypatch, tmp_path, caplog):
    path = tmp_path / "corrections.csv"
    monkeypatch.setattr(trained, "read_overrides", lambda _: [f"data.corrections={path}"])
    assert trained._configuration("best.ckpt", {}).data.corrections is None
    assert f"data.corrections={path} is gone: the faces that it left out count as trained on" in caplog.text
    path.touch()
    assert trained._configuration("best.ckpt", {}).data.corrections == str(path)

"""A missing extra is named with the command that installs it."""

import sys

import pytest

import fer_lightning
from fer_lightning.__main__ import main
from fer_lightning.report import wandb


def test_missing_extra_is_named_with_its_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(SystemExit, match=r"needs wandb-workspaces: pip install -e '\.\[dashboard\]'$"):
        main(["dashboard", "me/faces", "s"])
    monkeypatch.setattr(fer_lightning.errors, "__file__", "/site-packages/fer_lightning/errors.py")
    with pytest.raises(fer_lightning.UserError, match=r"pip install 'fer_lightning\[dashboard\]'$"):
        wandb.dashboard("me/faces", "s")

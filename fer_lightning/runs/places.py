"""Where a checkpoint lies, told without torch."""

import zipfile
from pathlib import Path

from fer_lightning.errors import FILE, FOLDER, UserError, stands_at


def checkpoint_file(path: str, option: str) -> Path:
    """Return the path of a checkpoint.

    Args:
        path: The file.
        option: Name of the option that gave it, for the message.

    Raises:
        UserError: If no file stands there, or one that is no whole zip archive, as every checkpoint is; with those that
            might have been meant.
    """
    file = Path(path)
    if (found := stands_at(file)) != FILE:
        raise UserError(f"{option}={path:.300} {found}: {others(file)}")
    if not zipfile.is_zipfile(file):
        size = f"{file.stat().st_size:,} bytes"
        raise UserError(
            f"{option}={path} ({size}) is damaged or no fer_lightning checkpoint (no whole archive): {others(file)}"
        )
    return file


def others(file: Path) -> str:
    """Return the remedy: other checkpoints beside one that cannot be used, or in a folder that was given for one."""
    inside = stands_at(file) == FOLDER
    folder = file if inside else file.parent
    found = [*folder.glob("*.ckpt"), *folder.glob("checkpoints/*.ckpt")] if stands_at(folder) == FOLDER else []
    beside = ", ".join(sorted(str(path.relative_to(folder)) for path in found if path != file)[:5])
    return f"{'in' if inside else 'beside'} it are {beside}" if beside else "give logs/.../checkpoints/best.ckpt"

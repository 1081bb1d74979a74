"""Overrides that a stranger may have written: what of a checkpoint's is composed over our own ``conf/``.

What is composed chooses files of ``conf/`` and sets plain values; nothing in it can name code, read the environment, or
say where this machine reads and writes.
"""

import re
from collections.abc import Collection

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from fer_lightning.config import find_files
from fer_lightning.config.nodes import NODES, Role, role
from fer_lightning.errors import UserError

UNKNOWN = "which is no option"


def allowed(
    overrides: object, source: str, remedy: str = "", again: str = "", typed: Collection[str] = ()
) -> list[str]:
    """Return those of a checkpoint's overrides that define its faces and network.

    Args:
        overrides: As the checkpoint has them.
        source: Option and path of the checkpoint, for messages.
        remedy: End of a sentence on a choice that is not in ``conf/``.
        again: End of a sentence on an option that could run code; empty where it cannot be ``typed``.
        typed: Keys of options on this command line. They replace the checkpoint's, whatever those say.

    Raises:
        UserError: Naming the first override that is more than a file of ``conf/`` or a plain value.
    """
    if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
        raise UserError(f"{source} is no fer_lightning checkpoint: its overrides are no list of texts")
    parser = OverridesParser.create()
    allowed_overrides = []
    for text in overrides:
        try:
            override = parser.parse_override(text)
            if override.key_or_group in typed:
                continue
            reason = _refusal(override)
            if reason is None and role(override.key_or_group) <= Role.RESULT:
                allowed_overrides.append(text)
        except (HydraException, RecursionError) as error:
            raise UserError(f"{source} carries the override {text!r:.200}, which cannot be read: not loaded") from error
        if reason:
            if not reason.startswith("which chooses"):
                remedy = "" if reason == UNKNOWN else again
            raise UserError(f"{source} carries the override {text!r:.200}, {reason}: not loaded{remedy}")
    return allowed_overrides


def _refusal(override: Override) -> str | None:
    """Return why an override is not composed, or None; what defines no result is dropped, whatever it says."""
    key = override.key_or_group
    if re.split("[./]", key)[0] not in NODES:
        return UNKNOWN
    if role(key) > Role.RESULT:
        return None
    if override.is_delete() or override.is_sweep_override() or override.package is not None:
        return "which does more than set a value"
    value = override.value()
    if find_files(key):
        name = str(value)
        if value is not None and not (re.fullmatch(r"\w[\w-]*", name) and find_files(key, name)):
            return f"which chooses no file of conf/{key}"
        return None
    if not re.fullmatch(r"[A-Za-z]\w*(\.[A-Za-z0-9]\w*)*", key) or not plain(value):
        return "which could run code"
    if isinstance(value, dict) and any(name.startswith(f"{key}.") for name in NODES):
        return "which replaces a whole node"
    return None


def plain(value: object) -> bool:
    """Return whether a value is made of numbers and texts alone: no interpolation, no key of ``instantiate``'s."""
    if isinstance(value, str):
        return "${" not in value
    if isinstance(value, list):
        return all(map(plain, value))
    if isinstance(value, dict):
        return all(not str(key).startswith("_") and plain(key) and plain(item) for key, item in value.items())
    return value is None or isinstance(value, (bool, int, float))

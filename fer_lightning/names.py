r"""File names as text that may be written and shown anywhere, and back.

A name may hold bytes that are no UTF-8, and characters that a terminal obeys or that turn the text around them. In text
they are a backslash and a number: ``\x1b`` is a control character, ``\xff`` (from ``\x80`` on) a byte that is no UTF-8,
``\u202e`` another odd character, ``\\`` a backslash. So two names never look the same, and each can be read back.
"""

import os
import re

# Control characters, marks that change the direction of text, line and paragraph separators, lone surrogates.
ODD = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
IN_NAME = re.compile(rf"\\|{ODD}")
IN_TEXT = re.compile(rf"(?![\n\t]){ODD}")
WRITTEN = re.compile(r"\\(?:(\\)|x([0-9a-f]{2})|u([0-9a-f]{4}))")
BYTES = 0xDC00  # Python's surrogates of bytes that are no UTF-8 begin here


def file_name(name: str) -> str:
    """Return a name from the file system as UTF-8 would read it, whatever the locale."""
    return os.fsencode(name).decode(errors="surrogateescape")


def write_name(name: str) -> str:
    """Return a name as text without anything odd; ``read_name`` returns it as it was."""
    return IN_NAME.sub(_escape, name)


def read_name(text: str) -> str:
    """Return the name that ``write_name`` was given; its bytes are ``name.encode(errors="surrogateescape")``."""
    return WRITTEN.sub(_unescape, text)


def printable(text: str) -> str:
    """Return text with everything odd written as in a name, but line breaks, tabs and backslashes as they are."""
    return IN_TEXT.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if found[0] == "\\":
        return r"\\"
    if BYTES + 0x80 <= number <= BYTES + 0xFF:
        number -= BYTES
    elif number >= 0x80:
        return f"\\u{number:04x}"
    return f"\\x{number:02x}"


def _unescape(found: re.Match[str]) -> str:
    backslash, byte, number = found.groups()
    if backslash:
        return backslash
    if number:
        return chr(int(number, 16))
    return chr(int(byte, 16) + BYTES * (int(byte, 16) >= 0x80))

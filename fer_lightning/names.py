r"""File names as safe text, and text as file names.

A name may contain bytes that are no UTF-8, characters that control a terminal, and characters that reverse the text
around them. In text each of them is a backslash and a number: ``\x1b`` is a control character, ``\xff`` (from ``\x80``
on) a byte that is no UTF-8, ``\u202e`` another unsafe character, ``\\`` a backslash. So two names never look the same,
and each name can be read back.
"""

import os
import re

# Control characters, marks that change the direction of text, line and paragraph separators, lone surrogates.
UNSAFE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
IN_NAME = re.compile(rf"\\|{UNSAFE}")
# Beginning of what a spreadsheet takes for a formula; a number and a lone dash are none.
NUMBER = r"(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan)?$"
FORMULA = re.compile(rf"^(?:[=@\uff1d\uff0b\uff0d\uff20]|[+-](?!{NUMBER}))")
IN_TEXT = re.compile(rf"(?![\n\t]){UNSAFE}")
ESCAPED = re.compile(r"\\(?:(\\)|x([0-9a-f]{2})|u([0-9a-f]{4}))")
BYTES = 0xDC00  # the first of Python's surrogates for bytes that are no UTF-8


def file_name(name: str) -> str:
    """Return a name from the file system decoded as UTF-8, in any locale."""
    return os.fsencode(name).decode(errors="surrogateescape")


def write_name(name: str) -> str:
    """Return a name as safe text, from which ``read_name`` returns the name."""
    return IN_NAME.sub(_escape, name)


def read_name(text: str) -> str:
    """Return the name from the text of ``write_name``; its bytes are ``name.encode(errors="surrogateescape")``."""
    return ESCAPED.sub(_unescape, text)


def printable(text: str) -> str:
    """Return text with unsafe characters escaped as in a name; line breaks, tabs and backslashes stay."""
    return IN_TEXT.sub(_escape, text)


def cell(text: str) -> str:
    """Return text as a cell of a table: printable, and no formula. ``read_name`` returns a name from it too."""
    return FORMULA.sub(_escape, printable(text))


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if match[0] == "\\":
        return r"\\"
    if BYTES + 0x80 <= number <= BYTES + 0xFF:
        number -= BYTES
    elif number >= 0x80:
        return f"\\u{number:04x}"
    return f"\\x{number:02x}"


def _unescape(match: re.Match[str]) -> str:
    backslash, byte, number = match.groups()
    if backslash:
        return backslash
    if number:
        return chr(int(number, 16))
    code = int(byte, 16)
    return chr(BYTES + code if code >= 0x80 else code)

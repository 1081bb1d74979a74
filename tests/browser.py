"""Headless Chromium: where it is, and the mark of the tests that need it."""

import shutil
from collections.abc import Callable

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)


def in_chromium(test: Callable) -> Callable:
    """Mark a test that opens a page. It is skipped where there is no Chromium."""
    return pytest.mark.browser(pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")(test))


# What is wider than the page and neither scrolls nor lies inside something that does.
STICKS_OUT = """[...document.body.querySelectorAll("*")].filter(one => !one.closest(".scroll, .wide")
    && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 200))"""

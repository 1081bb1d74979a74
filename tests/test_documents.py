"""The documents: links lead somewhere, a figure stands once, and all of them can be read in an hour."""

import re
from collections import defaultdict

from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULE = r"(?<!fer_lightning/)\b((?:data|config|models|runs|report|use|callbacks|launch)/[a-z_]+)(?:\.py)?\b(?![/.])"
WORDS = 10_000


def test_links_and_modules_exist():
    for document in DOCUMENTS:
        text = document.read_text()
        links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
        assert [link for link in links if not (document.parent / link).exists()] == [], document
        files = re.findall(r"`((?:tests|docs|benchmarks)/[a-z0-9_/]+\.[a-z]+)`", text)
        assert [file for file in files if not (ROOT / file).exists()] == [], document
        if document.name in ("architecture.md", "extending.md"):
            names = set(re.findall(MODULE, text))
            assert names
            package = ROOT / "fer_lightning"
            missing = [name for name in names if not (package / f"{name}.py").exists()]
            assert missing == [], document


def test_a_figure_stands_in_one_document():
    homes = defaultdict(set)
    for document in DOCUMENTS:
        for figure in re.findall(r"\b\d{2}\.\d{1,2} ?(?:±[^%]{0,8})?%", document.read_text()):
            homes[figure].add(str(document.relative_to(ROOT)))
    assert {figure: names for figure, names in homes.items() if len(names) > 1} == {}


def test_documents_stay_short():
    assert sum(len(document.read_text().split()) for document in DOCUMENTS) <= WORDS

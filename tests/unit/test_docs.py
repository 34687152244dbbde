"""The documents: links lead somewhere, and the README stays a page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def links(document: Path) -> Iterator[tuple[str, str]]:
    """(path, anchor) of each link that stays inside the repository."""
    text = re.sub(r"^```.*?^```|`[^`]*`", "", document.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            path, _, anchor = target.partition("#")
            yield path, anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for path, anchor in links(document):
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document}: no such file: {path}"
        if anchor:
            assert anchor in anchors(target), f"{document}: no heading #{anchor} in {target.name}"


def test_every_entry_of_the_log_has_its_verdict_in_the_index() -> None:
    text = (ROOT / "docs" / "log.md").read_text()
    index, _, _ = text.partition("\n## 2")
    entries = re.findall(r"^## (\d{4}-\d\d-\d\d: .*)$", text, flags=re.M)
    rows = re.findall(r"^\| (\d{4}-\d\d-\d\d) \| \[(.*)\]\(#.*\) \| (.+) \|$", index, flags=re.M)
    assert [f"{date}: {question}" for date, question, _ in rows] == entries


def test_the_readme_is_one_page() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 80
    assert max(map(len, lines)) <= 120

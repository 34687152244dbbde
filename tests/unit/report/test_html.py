import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ced.report.figures import figures
from ced.report.html import asset, page
from ced.report.model import Curve, Report

VOID = {"meta", "link", "img", "input", "br"}
LOADING = {"src", "href", "srcset", "data", "action", "poster", "xlink:href", "background", "formaction"}
NASTY = "\"'><script>alert(1)</script>&$title ${style} é“"


class Document(HTMLParser):
    """Tags with their attributes, the text, and a check that every tag is closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open[-1:]:
            self.text[tag] = self.text.get(tag, "") + data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_is_well_formed_and_has_every_part(report: Report) -> None:
    document = Document(page(report))
    assert [s["id"] for s in document.named("section")] == ["results", "pictures", "training"]
    assert [a["href"] for a in document.named("a")] == ["#results", "#pictures", "#training"]
    assert document.text["title"] == document.text["h1"] == "Quickstart"
    assert (document.text["dt"][:6], document.text["dd"][:10]) == ("Recipe", "quickstart")
    assert document.named("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in document.named("meta")


def test_figures_stand_between_pictures_and_training(full_report: Report) -> None:
    text = page(full_report, figures(full_report))
    document = Document(text)
    assert [s["id"] for s in document.named("section")] == ["results", "pictures", "figures", "training"]
    plates = [f["id"] for f in document.named("figure") if f.get("class") == "plate"]
    assert plates == ["figure-1", "figure-4", "figure-5", "figure-6", "table-1"]
    ids = [attributes["id"] for _, attributes in document.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for tag, attributes in document.tags:
        for name in LOADING & set(attributes):
            assert (attributes[name] or "").startswith(("data:", "#")), f"<{tag} {name}>"
    assert all(image.get("alt") for image in document.named("img"))


def test_nothing_is_loaded_from_anywhere(report: Report) -> None:
    text = page(report)
    for tag, attributes in Document(text).tags:
        for name in LOADING & set(attributes):
            value = attributes[name] or ""
            assert value.startswith(("data:", "#")), f"<{tag} {name}={value[:60]}>"
    style = asset("style.css")
    assert style in text
    assert re.findall(r"url\((?!\"data:)", style) == []
    assert "@import" not in style
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\b", asset("script.js"))


def test_the_browser_is_told_to_refuse_every_request(report: Report) -> None:
    (policy,) = [m["content"] for m in Document(page(report)).named("meta") if "http-equiv" in m]
    assert policy is not None
    assert policy.split("; ")[0] == "default-src 'none'"
    assert "http" not in policy


def test_every_id_is_there_once_and_every_reference_meets_one(report: Report) -> None:
    text = page(report)
    tags = Document(text).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    wanted = [a[name] for _, a in tags for name in ("for", "aria-labelledby") if name in a]
    wanted += [(a.get("href") or a.get("xlink:href") or "")[1:] for tag, a in tags if tag in ("a", "use")]
    wanted += re.findall(r"url\(#([^)]*)\)", text)
    assert wanted
    assert set(wanted) <= set(ids)


def test_the_same_report_gives_the_same_page(report: Report) -> None:
    assert page(report) == page(replace(report))


def test_parts_without_content_are_left_out(report: Report) -> None:
    empty = Document(page(Report("Nothing yet")))
    assert empty.named("section") == empty.named("nav") == empty.named("dl") == empty.named("img") == []
    assert empty.text["h1"] == "Nothing yet"
    alone = Document(page(replace(report, curves=(Curve("ed", ()),), pictures=())))
    assert [s["id"] for s in alone.named("section")] == ["results"]
    assert alone.named("nav") == []


def test_every_name_is_text_and_nothing_else(report: Report) -> None:
    plain = Document(page(report))
    nasty = Document(
        page(
            Report(
                NASTY,
                tuple(replace(row, dataset=NASTY + row.dataset) for row in report.rows),
                tuple(replace(curve, model=NASTY) for curve in report.curves),
                tuple(replace(picture, name=NASTY) for picture in report.pictures),
                ((NASTY, NASTY),),
            )
        )
    )
    assert nasty.text["title"] == nasty.text["h1"] == nasty.text["dd"][: len(NASTY)] == NASTY
    assert len(nasty.named("script")) == len(plain.named("script")) == 1
    assert "alert" not in nasty.text["script"]
    assert nasty.text["h3"].count(NASTY) == 3
    assert f"{NASTY}, Original" in {image["alt"] for image in nasty.named("img")}


def test_the_assets_travel_with_the_package() -> None:
    for name in ("page.html", "style.css", "script.js"):
        assert len(asset(name)) > 500
    with pytest.raises(FileNotFoundError):
        asset("missing.css")


def test_the_script_and_style_cannot_end_their_element() -> None:
    assert "</" not in asset("script.js")
    assert "</" not in asset("style.css").replace("/%3E", "")


def test_importing_the_page_needs_no_heavy_package() -> None:
    heavy = "{'torch', 'ray', 'prefect', 'mlflow', 'matplotlib', 'rich'}"
    script = f"import sys, ced.report.html; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

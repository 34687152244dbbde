"""The page itself: Streamlit runs this file from above whenever something on the page changes."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st
from PIL import Image

from ced.app import photographs
from ced.app.photographs import Restoration
from ced.core.images import Rejected
from ced.restoration.family import FAITHFUL, RELEASED, Family
from ced.terminal import size

SHARP, SMOOTH = "Sharp", "Faithful"
WHOLE, DETAIL = "Whole picture", "Detail, pixel for pixel"
_ASSETS = Path(__file__).with_name("assets")


class Upload(NamedTuple):
    """A photograph on the page."""

    key: str  # of the file, and of how it is restored
    name: str
    data: bytes


def main() -> None:
    """The page from top to bottom."""
    st.set_page_config(page_title="ced: restore photographs", page_icon=_icon())
    st.title("Restore photographs")
    st.write("ced gives JPEG photographs back what their compression took. They do not leave this machine.")
    files = st.file_uploader("Drop photographs here, or choose them", accept_multiple_files=True)
    how = st.segmented_control("How", (SHARP, SMOOTH), default=SHARP, required=True, label_visibility="collapsed")
    st.caption(
        "Smooth and nearest to the pixels: nothing is invented."
        if how == SMOOTH
        else "The detail that the compression took is put back as it probably was."
    )
    good_too = st.toggle("Restore files of high quality too")
    family = Family.load(FAITHFUL if how == SMOOTH else RELEASED)
    family = family.everything() if good_too else family
    uploads = [Upload(f"{file.file_id} {how} {good_too}", file.name, file.getvalue()) for file in files]
    _show(uploads, family)


def _show(uploads: Sequence[Upload], family: Family) -> None:
    """The photographs, the button that restores them, and what became of them."""
    results: dict[str, Restoration | Rejected] = st.session_state.setdefault("results", {})
    present = {upload.key.partition(" ")[0] for upload in uploads}
    for key in [key for key in results if key.partition(" ")[0] not in present]:
        del results[key]  # the photograph was taken off the page
    above = st.container()
    for upload in uploads:
        with st.container(border=True):
            _describe(upload, family, results)
    missing = [upload for upload in uploads if upload.key not in results]
    with above:
        if missing and st.button(f"Restore {_count(len(missing))}", type="primary", width="stretch"):
            _restore(missing, family, results)
            st.rerun()
        _offer([upload for upload in uploads if isinstance(results.get(upload.key), Restoration)], results)


def _restore(missing: Sequence[Upload], family: Family, results: dict[str, Restoration | Rejected]) -> None:
    progress = st.progress(0.0)
    for number, upload in enumerate(missing):
        text = f"{number + 1} of {len(missing)}: {_plain(upload.name)}"

        def tell(share: float, number: int = number, text: str = text) -> None:
            progress.progress((number + share) / len(missing), text)

        tell(0)
        try:
            results[upload.key] = photographs.restore(upload.data, family, tell)
        except Rejected as error:
            results[upload.key] = error
    progress.empty()


def _describe(upload: Upload, family: Family, results: dict[str, Restoration | Rejected]) -> None:
    """What a file is, and what will be done with it or was; what cannot be read is known to be left out at once."""
    plans: dict[str, str] = st.session_state.setdefault("plans", {})
    st.markdown(f"**{_plain(upload.name)}**")
    try:
        st.caption(_plain(" · ".join(photographs.facts(upload.data))))
        if upload.key not in plans and upload.key not in results:
            plans[upload.key] = photographs.plan(upload.data, family)
    except Rejected as error:
        results[upload.key] = error
    result = results.get(upload.key)
    if result is None:
        st.write(_plain(plans[upload.key]))
    elif isinstance(result, Rejected):
        st.error(_plain(f"Left out: {result.message} ({result.reason})."))
    else:
        how = f"Left as it is: {result.file.left}" if result.file.left else f"Restored in {result.seconds:.1f} s"
        st.write(_plain(f"{how}; the new file has {size(len(result.file.data))}."))
        if result.file.warning:
            st.warning(_plain(f"{result.file.warning}."))
        name = photographs.names([upload.name], [result.file.suffix])[0]
        st.download_button(f"Download {_plain(name)}", result.file.data, name, key=upload.key, on_click="ignore")


def _offer(done: Sequence[Upload], results: dict[str, Any]) -> None:
    """All files at once, and the comparison."""
    if len(done) > 1:
        suffixes = [results[upload.key].file.suffix for upload in done]
        named = zip(photographs.names([upload.name for upload in done], suffixes), done, strict=True)
        files = [(name, results[upload.key].file.data) for name, upload in named]
        st.download_button(
            f"Download all ({_count(len(done))}, zip)",
            lambda: photographs.archive(files),
            "restored.zip",
            "application/zip",
            on_click="ignore",
            width="stretch",
        )
    restored = [upload for upload in done if not results[upload.key].file.left]
    if not restored:
        return
    chosen = restored[0]
    if len(restored) > 1:
        chosen = st.selectbox("Compare", restored, format_func=lambda upload: upload.name)
    view = st.segmented_control("View", (WHOLE, DETAIL), default=WHOLE, required=True, label_visibility="collapsed")
    before, after = photographs.pictures(chosen.data, results[chosen.key].file.data, view == DETAIL)
    _component()(data={"before": _address(before), "after": _address(after)}, key="compare")


def _count(number: int) -> str:
    return f"{number} photograph{'' if number == 1 else 's'}"


def _plain(text: str) -> str:
    """Text of a file's as text alone: Streamlit takes Markdown, in which a name could be a link or a picture."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


@st.cache_resource  # type: ignore[untyped-decorator]
def _component() -> Any:
    html, css, js = ((_ASSETS / f"compare.{kind}").read_text() for kind in ("html", "css", "js"))
    return st.components.v2.component("ced-compare", html=html, css=css, js=js)


def _icon() -> Image.Image:
    """Streamlit's own icons come from elsewhere."""
    icon = Image.new("RGB", (32, 32), "#c4384a")
    icon.paste("white", (15, 0, 17, 32))
    return icon


def _address(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


if __name__ == "__main__":  # as Streamlit runs it
    main()

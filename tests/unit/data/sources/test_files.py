"""Finding photographs: recursive, sorted, with unique printable identities; mistakes in one line."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from ced.core.images import Rejected
from ced.data import sources as photographs
from ced.errors import InputError


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, "PNG")
    return path


def test_folders_are_searched_recursively_and_sorted(tmp_path: Path) -> None:
    for name in ("b.JPEG", "a/c.png", "a/b/d.Jpg", "x.jpg/inside.webp"):
        image(tmp_path / "set" / name)
    (tmp_path / "set" / "notes.txt").write_text("words")
    found = photographs.find((str(tmp_path / "set"),))
    assert [p.name for p in found] == ["set/a/b/d.Jpg", "set/a/c.png", "set/b.JPEG", "set/x.jpg/inside.webp"]
    assert all(Path(p.path).is_file() for p in found)


def test_identities_do_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    for place in ("one", "two"):
        image(tmp_path / place / "set" / "a.png")
    names = [[p.name for p in photographs.find((str(tmp_path / place / "set"),))] for place in ("one", "two")]
    assert names[0] == names[1] == [["set/a.png"]][0]


def test_sources_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    for place in ("one", "two", "three"):
        image(tmp_path / place / "set" / "a.png")
    sources = tuple(str(tmp_path / place / "set") for place in ("one", "two", "three"))
    found = photographs.find(sources)
    assert len({p.name for p in found}) == len({p.path for p in found}) == 3


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png")
    status = path.stat()
    mark = f"{status.st_size} {status.st_mtime_ns}"
    assert photographs.find((str(path),)) == [photographs.Photograph("a.png", str(path), mark, status.st_size)]


@pytest.mark.parametrize("name", ["with space.jpg", "new\nline.jpg", "ünïcödé 例.jpg", "quote\"'.jpg"])
def test_odd_names_are_found(tmp_path: Path, name: str) -> None:
    image(tmp_path / name)
    (found,) = photographs.find((str(tmp_path),))
    assert found.name.endswith(name)


def test_names_that_are_no_text_become_printable(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/bad\xff.png"
    image(tmp_path / "good.png").rename(os.fsdecode(raw))
    (found,) = photographs.find((str(tmp_path),))
    assert found.name.endswith("bad\\xff.png")
    found.name.encode("utf-8")
    assert photographs.read(found)


@pytest.mark.parametrize(
    ("make", "clause"),
    [
        (lambda path: None, "no such folder or file"),
        (lambda path: path.mkdir(), "no files in it"),
        (lambda path: (path.mkdir(), (path / "notes.txt").write_text("words")), "1 files but no images in it"),
    ],
)
def test_a_folder_without_photographs_is_refused(tmp_path: Path, make, clause: str) -> None:
    path = tmp_path / "set"
    make(path)
    with pytest.raises(InputError, match=clause) as refusal:
        photographs.find((str(path),))
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_no_source_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="name folders with --images"):
        photographs.find(())


def test_the_content_digest_sees_every_change(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png")
    digests = {photographs.content(photographs.find((str(tmp_path),)))}
    os.utime(path, ns=(1, 1))
    digests.add(photographs.content(photographs.find((str(tmp_path),))))
    image(tmp_path / "b.png")
    digests.add(photographs.content(photographs.find((str(tmp_path),))))
    assert len(digests) == 3


def test_what_cannot_be_read_has_a_reason(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refusal:
        photographs.read(photographs.Photograph("a", str(tmp_path), ""))
    assert (refusal.value.reason, refusal.value.message) == ("unreadable", "Is a directory")
    with pytest.raises(Rejected, match="unreadable: No such file"):
        photographs.read(photographs.Photograph("a", str(tmp_path / "gone.jpg"), ""))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (found,) = photographs.find((str(tmp_path),))
    with pytest.raises(Rejected, match="unreadable: not a regular file"):
        photographs.read(found)


def test_a_link_to_a_folder_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image(tmp_path / "set" / "a.png")
    image(tmp_path / "other" / "b.png")
    (tmp_path / "set" / "two\nlines").symlink_to(tmp_path / "other", target_is_directory=True)
    with caplog.at_level(logging.WARNING, "ced"):
        assert [p.name for p in photographs.find((str(tmp_path / "set"),))] == ["set/a.png"]
    (line,) = caplog.messages
    assert line == f"{tmp_path}/set/two\\nlines: a link to a folder, not followed; name it as a source of its own"
    linked = photographs.find((str(tmp_path / "set" / "two\nlines"),))
    assert [p.name for p in linked] == ["other/b.png"]


def test_links_to_nowhere_are_listed_and_links_to_folders_are_folders(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "set" / "folder.jpg").symlink_to(tmp_path / "set", target_is_directory=True)
    (found,) = photographs.find((str(tmp_path / "set"),))
    assert (found.name, found.stamp, found.size) == ("set/gone.jpg", "unreadable", -1)
    with pytest.raises(Rejected, match="unreadable: No such file or directory"):
        photographs.read(found)


AS_NOBODY = """
import os, sys
from ced.data import sources
from ced.data.sources import archives, files  # while the packages can be read
from ced.core.images import Rejected
from ced.errors import InputError
os.setgid(65534), os.setuid(65534)
for source in sys.argv[1:]:
    try:
        print([sources.read(p) for p in sources.find((source,))])
    except (InputError, Rejected) as error:
        print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_what_may_not_be_read_is_said() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        root = Path(name)
        root.chmod(0o755)
        for path in ("closed/a.png", "outer/closed/a.png", "files/a.png", "open/a.png"):
            image(root / path).chmod(0o600 if path == "files/a.png" else 0o644)
        shutil.copy(root / "open" / "a.png", root / "a.tar")
        for path in ("closed", "outer/closed", "a.tar"):
            (root / path).chmod(0)
        sources = [str(root / name) for name in ("closed", "outer", "files", "a.tar", "closed/a.png")]
        command = [sys.executable, "-c", AS_NOBODY, *sources]
        told = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[4])
    assert told.stdout.splitlines() == [
        f"InputError {root}/closed: cannot be read; change its permissions",
        f"InputError {root}/outer/closed: cannot be read (Permission denied); change its permissions",
        "Rejected unreadable: Permission denied",
        f"InputError {root}/a.tar: cannot be read; change its permissions",
        f"InputError {root}/closed/a.png: cannot be read (Permission denied); change its permissions",
    ], told.stderr

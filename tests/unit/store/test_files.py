import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ced.errors import OutputError
from ced.store import files


def test_the_file_holds_what_was_written_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    files.write(path, b"one")
    files.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_append_adds_a_line(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    files.append(path, "one")
    files.append(path, "two")
    assert path.read_text() == "one\ntwo\n"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for write in (lambda p: files.write(p, b""), lambda p: files.append(p, "")):
        with pytest.raises(OutputError, match=r"no/a: cannot be written \(No such file or directory\)"):
            write(tmp_path / "no" / "a")


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        files.write(tmp_path / "a", b"")
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_is_made_with_its_parents_or_refused(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a" / "b")
    files.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/c: cannot be written"):
        files.make_folder(tmp_path / "file" / "c")


def limit_file_size() -> None:
    """Writes beyond 1,000 bytes fail, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


FILL = """
import sys
from pathlib import Path
from ced.errors import OutputError
from ced.store import files
try:
    files.write(Path(sys.argv[1]), bytes(5000))
except OutputError as error:
    print(error)
"""


def test_a_disk_that_fills_up_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    files.write(path, b"former")
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)], preexec_fn=limit_file_size, capture_output=True, text=True
    )
    assert "a.bin: cannot be written (File too large); make room" in done.stdout, done.stderr
    assert path.read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["a.bin"]

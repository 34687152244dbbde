"""Photographs on a real S3 server: every kind of source, and every way in which a server refuses."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ced.core.images import Rejected
from ced.data import sources as photographs
from ced.data.sources import Photograph
from ced.errors import InputError

KEY, SECRET = "ced-test-key", "ced-test-secret"
FILES = {"z.JPG": b"1" * 50, "a b/é.png": b"22", "a b/100%.jpg": os.urandom(9000), "test/x+y&z=1.jpg": b"4"}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is the bucket `photographs`: files, archives and a list of them."""
    folder = tmp_path_factory.mktemp("s3") / "photographs"
    for name, data in {**FILES, "notes.md": b"words"}.items():
        path = folder / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with tarfile.open(folder / "set.tar", "w") as plain, tarfile.open(folder / "set.tar.gz", "w:gz") as small:
        with zipfile.ZipFile(folder / "set.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            for name in FILES:
                for archive in (plain, small):
                    archive.add(folder / "set" / name, name)
                packed.write(folder / "set" / name, name)
    (folder / "cut.tar.gz").write_bytes((folder / "set.tar.gz").read_bytes()[:5000])
    (folder / "set" / "list.txt").write_text("\n".join([*FILES, "gone.jpg"]))
    return folder


@pytest.fixture(scope="module")
def server(bucket: Path, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[str]:
    """host:port of a real S3 server with one key."""
    address = f"127.0.0.1:{free_port()}"
    home = tmp_path_factory.mktemp("rclone")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "RCLONE_CONFIG": ""}
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program, "rclone is not installed; run `make check` once"
    command = [program, "serve", "s3", "--auth-key", f"{KEY},{SECRET}", "--addr", address]
    command += ["--dir-cache-time", "1ms", str(bucket.parent)]
    with open(home / "log", "w") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        try:
            _wait(f"http://{address}/", home / "log")
            yield address
        finally:
            process.terminate()


def _wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(urllib.error.HTTPError, ConnectionError, urllib.error.URLError):
            try:
                urllib.request.urlopen(url, timeout=5).close()
                return
            except urllib.error.HTTPError:  # it refuses us: it is there
                return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def at(server: str, path: str) -> str:
    return f"s3://{path}?endpoint_override={server}&scheme=http"


def hides(text: str, server: str) -> bool:
    return not any(secret in text for secret in (server, "endpoint", KEY, SECRET, "?"))


def test_a_prefix_is_sorted_and_read(server: str) -> None:
    found = photographs.find((at(server, "photographs/set"),))
    assert [p.name for p in found] == sorted(f"set/{name}" for name in FILES)
    assert {p.name[4:]: photographs.read(p) for p in found} == FILES
    assert all(hides(p.name + p.stamp, server) for p in found)
    inside = photographs.find((at(server, "photographs"),), "*/test/*.jpg")
    assert [p.name for p in inside] == ["photographs/set/test/x+y&z=1.jpg"]


@pytest.mark.parametrize("source", ["set.tar", "set.tar.gz", "set.zip"])
def test_archives_are_read_where_they_lie(server: str, source: str, tmp_path: Path) -> None:
    found = photographs.find((at(server, f"photographs/{source}"),), cache=tmp_path)
    assert [(p.name, photographs.read(p)) for p in found] == [(f"{source}/{n}", data) for n, data in FILES.items()]
    assert found == photographs.find((at(server, f"photographs/{source}"),), cache=tmp_path)


def test_a_single_file_and_several_sources(server: str) -> None:
    sources = (at(server, "photographs/set/z.JPG"), "builtin:test", at(server, "photographs/set/a%20b/"))
    found = photographs.find(sources)
    assert [p.name for p in found] == [
        "z.JPG",
        "skimage/chelsea.png",
        "skimage/coffee.png",
        "a b/100%.jpg",
        "a b/é.png",
    ]
    assert photographs.read(found[0]) == FILES["z.JPG"]


def test_a_list(server: str) -> None:
    found = photographs.find((at(server, "photographs/set/list.txt"),))
    assert [p.name for p in found] == [f"list.txt/{name}" for name in [*FILES, "gone.jpg"]]
    assert [photographs.read(p) for p in found[:-1]] == list(FILES.values())
    with pytest.raises(Rejected) as refusal:
        photographs.read(found[-1])
    assert refusal.value.reason == "unreadable" and hides(refusal.value.message, server)


def test_wildcards_and_a_list_of_everything(server: str, bucket: Path, tmp_path: Path) -> None:
    found = photographs.find((at(server, "photographs/se*.tar"),), cache=tmp_path)
    assert [(p.name, photographs.read(p)) for p in found] == [(f"photographs/set.tar/{n}", d) for n, d in FILES.items()]
    found = photographs.find((at(server, "photographs/**/*.jpg"),))
    inside = ["a b/100%.jpg", "test/x+y&z=1.jpg"]
    assert {p.name: photographs.read(p) for p in found} == {f"photographs/set/{name}": FILES[name] for name in inside}
    (bucket / "all.txt").write_text("set/a b\nset.zip\nset/z.JPG")
    found = photographs.find((at(server, "photographs/all.txt"),), cache=tmp_path)
    inside = ["set/a b/100%.jpg", "set/a b/é.png", *(f"set.zip/{name}" for name in FILES), "set/z.JPG"]
    assert [p.name for p in found] == [f"all.txt/{name}" for name in inside]
    assert [photographs.read(p) for p in found] == [FILES[name.partition("/")[2]] for name in inside]
    with pytest.raises(InputError) as refusal:
        photographs.find((at(server, "photographs/*.webp"),))
    assert str(refusal.value) == "s3://photographs/*.webp: nothing there matches; check the wildcards"


def test_the_address_of_the_environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked in a process of its own, which knows no other address."""
    code = "from ced.data import sources as p; print([len(p.read(x)) for x in p.find(('s3://photographs/set',))])"
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server}")
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str([len(FILES[name]) for name in sorted(FILES)])


def test_a_changed_file_has_another_stamp(server: str, bucket: Path) -> None:
    path = bucket / "changing" / "a.jpg"
    path.parent.mkdir()
    digests = set()
    for data, seconds in ((b"1", 10), (b"2", 20), (b"33", 20)):
        path.write_bytes(data)
        os.utime(path, (seconds, seconds))
        digests.add(photographs.content(photographs.find((at(server, "photographs/changing"),))))
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("path", "clause"),
    [
        ("photographs/nowhere", "no such bucket, folder or file; check the address"),
        ("nobody/set", "no such bucket, folder or file; check the address"),
        (f"{KEY}:wrong@photographs/set", "refused (access denied); check the keys and permissions"),
        (f"nobody:{SECRET}@photographs/set/z.JPG", "refused (access denied); check the keys and permissions"),
        ("photographs/cut.tar.gz", "a failed download or no archive at all; fetch it again"),
    ],
)
def test_what_the_server_refuses_is_one_line(server: str, path: str, clause: str) -> None:
    with pytest.raises(InputError) as refusal:
        photographs.find((at(server, path),))
    message = str(refusal.value)
    assert message.startswith(f"s3://{path.partition('@')[2] or path}: ") and message.endswith(clause)
    assert hides(message, server) and "\n" not in message


@pytest.mark.parametrize("listens", [False, True], ids=["nobody there", "never answers"])
def test_a_server_that_is_down_is_given_up_within_fifteen_seconds(
    listens: bool, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """Also the process ends: a thread that still waited would hold it."""
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = silent.getsockname()[1] if listens else free_port()
        code = "import sys; from ced.data import sources; sources.find((sys.argv[1],))"
        command = [sys.executable, "-c", code, at(f"127.0.0.1:{port}", "photographs/set")]
        started = time.monotonic()
        told = subprocess.run(command, capture_output=True, text=True)
        seconds = time.monotonic() - started
    last = told.stderr.strip().splitlines()[-1]
    assert last.endswith("s3://photographs/set: the server does not answer; check the address and the network")
    assert seconds < 15


def test_a_server_that_goes_away_sets_nothing_aside(free_port: Callable[[], int]) -> None:
    gone = Photograph("a.jpg", at(f"127.0.0.1:{free_port()}", "photographs/a.jpg"), "1 2", 1)
    with pytest.raises(InputError, match="^s3://photographs/a.jpg: the server does not answer"):
        photographs.read(gone)

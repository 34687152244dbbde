"""Addresses of other file systems, on fsspec's own memory. Errors of servers become one line without addresses; only
what is wrong with one photograph sets it aside."""

import errno
import io
import tarfile
import time
import zipfile
from collections.abc import Iterator

import fsspec
import pytest

from ced.core.images import Rejected
from ced.data import sources
from ced.data.sources import remote
from ced.errors import InputError

FILES = {"z.JPG": b"1", "a b/é.png": b"22", "a b/100%.jpg": b"333", "new\nline.jpg": b"4", "x.jpg/y.gif": b"5"}


@pytest.fixture(autouse=True)
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    for name, data in {**FILES, "notes.txt": b"words"}.items():
        files.pipe(f"/set/{name}", data)
    yield files
    files.rm("/", recursive=True)


def test_a_prefix_is_searched_recursively_and_sorted() -> None:
    found = sources.find(("memory://set",))
    assert [p.name for p in found] == sorted(f"set/{name}" for name in FILES)
    assert {p.name[4:]: sources.read(p) for p in found} == FILES
    assert [p.size for p in found] == [len(FILES[p.name[4:]]) for p in found]


def test_a_pattern_is_of_the_path_below_the_prefix() -> None:
    assert [p.name for p in sources.find(("memory://set",), "a b/*")] == ["set/a b/100%.jpg", "set/a b/é.png"]
    assert [p.name for p in sources.find(("memory://set/a b/",), "*.png")] == ["a b/é.png"]
    with pytest.raises(InputError, match=r"memory://set: none of its 6 files matches '\*.webp'; give another pattern"):
        sources.find(("memory://set",), "*.webp")


@pytest.mark.parametrize("written", ["memory://set/a b/é.png", "memory://set/a%20b/%C3%A9.png"])
def test_a_single_file(written: str) -> None:
    (found,) = sources.find((written,))
    assert (found.name, sources.read(found)) == ("é.png", b"22")


def test_a_file_larger_than_the_limit_is_not_read() -> None:
    (found,) = sources.find(("memory://set/a b/é.png",))
    assert sources.read(found, 2) == b"22"
    with pytest.raises(Rejected, match="too large: 2 bytes, the limit is 1"):
        sources.read(found, 1)


def test_a_list_of_files_beside_it_and_elsewhere(memory: fsspec.AbstractFileSystem, tmp_path) -> None:
    (tmp_path / "here.jpg").write_bytes(b"here")
    lines = ["a b/100%.jpg", "gone.jpg", "", "memory://set/z.JPG", str(tmp_path / "here.jpg"), "z/../x.jpg/y.gif"]
    memory.pipe("/set/list.txt", "\n".join(lines).encode())
    found = sources.find(("memory://set/list.txt",))
    inside = ["a b/100%.jpg", "gone.jpg", "set/z.JPG", f"{tmp_path}/here.jpg"[1:], "x.jpg/y.gif"]
    assert [p.name for p in found] == [f"list.txt/{name}" for name in inside]
    missing = found.pop(1)
    assert [sources.read(p) for p in found] == [b"333", b"1", b"here", b"5"]
    with pytest.raises(Rejected, match="^unreadable: No such file or directory$"):
        sources.read(missing)


def test_a_list_of_prefixes_and_archives(memory: fsspec.AbstractFileSystem) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("k.png", b"k")
    memory.pipe("/box/z.zip", stream.getvalue())
    memory.pipe("/box/list.txt", b"memory://set/a b\nz.zip\nmemory://set/x.jpg/y.gif")
    found = sources.find(("memory://box/list.txt",))
    inside = {"set/a b/100%.jpg": b"333", "set/a b/é.png": b"22", "z.zip/k.png": b"k", "set/x.jpg/y.gif": b"5"}
    assert {p.name: sources.read(p) for p in found} == {f"list.txt/{name}": data for name, data in inside.items()}
    memory.pipe("/box/list.txt", b"gone.zip")
    with pytest.raises(InputError, match="^memory://box/gone.zip: no such bucket, folder or file"):
        sources.find(("memory://box/list.txt",))


@pytest.mark.parametrize("kind", [".tar", ".tar.gz", ".zip"])
def test_archives_are_read_where_they_lie(memory: fsspec.AbstractFileSystem, kind: str) -> None:
    stream = io.BytesIO()
    if kind == ".zip":
        with zipfile.ZipFile(stream, "w") as packed:
            for name, data in FILES.items():
                packed.writestr(name, data)
    else:
        with tarfile.open(fileobj=stream, mode="w:gz" if kind == ".tar.gz" else "w") as archive:
            for name, data in FILES.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    memory.pipe(f"/box/set{kind}", stream.getvalue())
    found = sources.find((f"memory://box/set{kind}",))
    assert [(p.name, sources.read(p)) for p in found] == [(f"set{kind}/{n}", data) for n, data in FILES.items()]
    memory.pipe(f"/box/set{kind}", stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(InputError, match=f"memory://box/set{kind}: breaks after [0-9]+ members"):
        sources.find((f"memory://box/set{kind}",))


@pytest.mark.parametrize(
    ("source", "clause"),
    [
        ("memory://gone/a.jpg", "memory://gone/a.jpg: no such bucket, folder or file; check the address"),
        ("foo://me:PASS@x/y?key=PASS", "foo://x: unknown kind of address; use s3://, gs://, https:// or a path"),
        ("s3://", "s3://: names no bucket; write it as s3://bucket/prefix"),
        ("s3://me:PASS@[bad/x", "s3://...: not an address; write it as s3://bucket/prefix"),
        ("s3://me:PASS@bu cket/x", "s3://bu cket: not an address; write it as s3://bucket/prefix"),
    ],
)
def test_an_address_of_nothing(source: str, clause: str) -> None:
    with pytest.raises(InputError) as refusal:
        sources.find((source,))
    assert str(refusal.value) == clause


DOWN = "When reading 'a' in bucket 'b': AWS Error NETWORK_CONNECTION during GetObject: connect to 10.1.2.3 port 9000"


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("AWS Error ACCESS_DENIED during HeadObject at 0x7f: host"), "refused (access denied); check the keys"),
        (PermissionError(errno.EACCES, "x"), "refused (Permission denied); check the keys and permissions"),
        (OSError("AWS Error NO_SUCH_BUCKET: 10.1.2.3"), "no such bucket, folder or file; check the address"),
        (FileNotFoundError(errno.ENOENT, "/abs"), "no such bucket, folder or file; check the address"),
        (OSError(DOWN), "the server does not answer; check the address and the network"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "10.1.2.3"), "the server does not answer; check the address"),
        (OSError("something at 0x7f"), "cannot be read (OSError); check the address"),
    ],
)
def test_a_source_is_refused_in_one_line(error: Exception, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        remote.request("s3://K:P@b/a?endpoint_override=10.1.2.3", lambda: fail(error))
    assert str(refusal.value).startswith(f"s3://b/a: {message}")


def test_a_photograph_is_set_aside_and_a_server_that_is_down_ends_the_work() -> None:
    with pytest.raises(Rejected) as refusal:
        remote.fetch("s3://b/a", lambda: fail(OSError("AWS Error NO_SUCH_KEY at host")))
    assert (refusal.value.reason, refusal.value.message) == ("unreadable", "no such key")
    with pytest.raises(InputError, match="^s3://b/a: the server does not answer"):
        remote.fetch("s3://b/a", lambda: fail(OSError(DOWN)))


def test_a_first_answer_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ANSWER_TIMEOUT", 0.05)
    with pytest.raises(InputError, match="x: the server does not answer"):
        remote.request_in_time("x", lambda: time.sleep(1))
    assert remote.request_in_time("x", lambda: 5) == 5

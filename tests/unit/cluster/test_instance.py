"""The folders of private Rays: short, this user's alone, and removed once nobody lives in them."""

import os
from pathlib import Path

import pytest

from ced.cluster import instance
from ced.errors import ServiceError


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(instance, "_bases", lambda: [tmp_path])
    return tmp_path


def test_a_folder_is_closed_to_others_and_goes_with_its_block(base: Path) -> None:
    with instance._folder() as folder:
        assert folder.parent == base and folder.stat().st_mode & 0o777 == 0o700
        instance.sweep()
        assert folder.exists(), "it is in use"
    assert list(base.iterdir()) == []


def test_what_is_left_over_goes_and_nothing_else(base: Path) -> None:
    old, new, other = (base / f"ced-ray-{name}" for name in ("killed00", "starting", "x"))
    for folder in (old, new, other):
        folder.mkdir()
    (old / "lock").touch()
    (old / "r").mkdir()
    (base / "ced-ray-symbolic").symlink_to(other)
    instance.sweep()
    assert {path.name for path in base.iterdir()} == {"ced-ray-starting", "ced-ray-x", "ced-ray-symbolic"}
    os.utime(new, (0, 0))  # killed before it had a lock, long ago
    instance.sweep()
    assert not new.exists() and other.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of another user")
def test_another_users_folder_stays(base: Path) -> None:
    theirs = base / "ced-ray-theirs00"
    theirs.mkdir()
    (theirs / "lock").touch()
    os.chown(theirs, 12345, 12345)
    instance.sweep()
    assert (theirs / "lock").exists()


def test_a_long_path_is_not_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes 107 bytes."""
    long = tmp_path / ("x" * 110)
    long.mkdir()
    monkeypatch.setattr(instance.environment, "temporary_folders", lambda: [str(long), "/tmp", "/proc/nowhere"])
    assert instance._bases() == [Path("/tmp")]
    session = "session_2026-11-28_22-05-16_123456_4194304"
    longest = "x" * instance._LONGEST + f"/ced-ray-12345678/r/{session}/sockets/plasma_store"
    assert len(longest) <= 107
    monkeypatch.setattr(instance.environment, "temporary_folders", lambda: [str(long)])
    with pytest.raises(ServiceError, match="RAY_TMPDIR"), instance._folder():
        pytest.fail("entered")

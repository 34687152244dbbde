"""Identities and messages: no address, query or password, one line, valid UTF-8; archives and lists by their suffix."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.data.sources import naming
from ced.errors import InputError

SECRET = "s3://KEY:PASS@bucket/sets/my%20set.tar.gz?endpoint_override=10.1.2.3:9000&scheme=http"


@pytest.mark.parametrize(
    ("source", "title", "shown"),
    [
        (SECRET, "my set.tar.gz", "s3://bucket/sets/my set.tar.gz"),
        ("s3://K:P@bucket/?region=x", "bucket", "s3://bucket/"),
        ("s3://bucket/a/b/", "b", "s3://bucket/a/b/"),
        ("https://me:pw@host:99/x/a.zip?token=PASS", "a.zip", "https://host:99/x/a.zip"),
        ("/data/new\nline", "new\nline", "/data/new\\nline"),
        ("/data/x/../b\udcff.tar", "b\\xff.tar", "/data/x/../b\\xff.tar"),
    ],
)
def test_a_source_is_told_without_its_secrets(source: str, title: str, shown: str) -> None:
    assert (naming.title(source), naming.shown(source)) == (title, shown)


STEPS = st.sampled_from(["..", ".", "", "a", "b.jpg", "\udcff", " "])


@given(st.lists(STEPS, max_size=8).map("/".join) | st.text(st.characters(exclude_characters="\0")))
def test_a_path_within_a_source_never_leaves_it(name: str) -> None:
    try:
        tidied = naming.tidy(name)
    except UnicodeEncodeError:  # no file name: surrogates that stand for no byte
        return
    tidied.encode()
    assert not tidied.startswith("/")
    assert not {"..", "."} & set(tidied.split("/"))


@pytest.mark.parametrize(
    ("source", "kind", "listed"),
    [
        ("a.tar", "tar", False),
        ("A.TAR.GZ", "tar", False),
        ("/x/a.tgz", "tar", False),
        ("a.zip", "zip", False),
        (SECRET, "tar", False),
        ("s3://b/a.jpg?x=.zip", "", False),
        ("s3://b/a.txt?x=y", "", True),
        ("a.gz", "", False),
        ("a.Txt", "", True),
    ],
)
def test_archives_and_lists_are_known_by_their_suffix(source: str, kind: str, listed: bool) -> None:
    assert (naming.kind(source), naming.is_list(source)) == (kind, listed)


def test_an_archive_of_another_kind_is_refused_without_its_secrets() -> None:
    with pytest.raises(InputError) as refusal:
        naming.kind("s3://KEY:PASS@bucket/a.rar?endpoint_override=host")
    assert str(refusal.value) == "s3://bucket/a.rar: cannot be read in place; use .tar, .tar.gz or .zip, or unpack it"


@pytest.mark.parametrize(
    ("name", "pattern", "wanted"),
    [
        ("a/b.JpEg", "", True),
        ("a/b.txt", "", False),
        ("a/._b.jpg", "", True),
        ("a/b/c.JPEG", "*/*.JPEG", True),
        ("a/c.jpeg", "*/*.JPEG", False),
        ("a/c", "a/*", True),
        ("a/c.jpg", "c.jpg", False),
    ],
)
def test_what_is_asked_for(name: str, pattern: str, wanted: bool) -> None:
    assert naming.wanted(name, pattern) is wanted

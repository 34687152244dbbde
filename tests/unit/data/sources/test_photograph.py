"""Identities and messages: no address, query or password, one line, valid UTF-8; suffixes of sources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.data.sources import archives, folders, photograph

SECRET = "s3://KEY:PASS@bucket/sets/my%20set.tar.gz?endpoint_override=10.1.2.3:9000&scheme=http"


@pytest.mark.parametrize(
    ("source", "title", "redacted"),
    [
        (SECRET, "my set.tar.gz", "s3://bucket/sets/my set.tar.gz"),
        ("s3://K:P@bucket/?region=x", "bucket", "s3://bucket/"),
        ("s3://bucket/a/b/", "b", "s3://bucket/a/b/"),
        ("https://me:pw@host:99/x/a.zip?token=PASS", "a.zip", "https://host:99/x/a.zip"),
        ("/data/new\nline", "new\nline", "/data/new\\nline"),
        ("/data/x/../b\udcff.tar", "b\\xff.tar", "/data/x/../b\\xff.tar"),
    ],
)
def test_a_source_is_told_without_its_secrets(source: str, title: str, redacted: str) -> None:
    assert (photograph.title(source), photograph.redacted(source)) == (title, redacted)


STEPS = st.sampled_from(["..", ".", "", "a", "b.jpg", "\udcff", " "])


@given(st.lists(STEPS, max_size=8).map("/".join) | st.text(st.characters(exclude_characters="\0")))
def test_a_path_within_a_source_never_leaves_it(name: str) -> None:
    try:
        tidied = photograph.tidy(name)
    except UnicodeEncodeError:  # no file name: surrogates that stand for no byte
        return
    tidied.encode()
    assert not tidied.startswith("/")
    assert not {"..", "."} & set(tidied.split("/"))


@pytest.mark.parametrize(
    ("source", "archive", "listed"),
    [
        ("a.tar", True, False),
        ("A.TAR.GZ", True, False),
        ("/x/a.tgz", True, False),
        ("a.zip", True, False),
        ("a.rar", True, False),  # refused where it is listed
        (SECRET, True, False),
        ("s3://b/a.jpg?x=.zip", False, False),
        ("s3://b/a.txt?x=y", False, True),
        ("a.gz", False, False),
        ("a.Txt", False, True),
        ("s3://[b/a.zip", False, False),  # no address
    ],
)
def test_archives_and_lists_are_known_by_their_suffix(source: str, archive: bool, listed: bool) -> None:
    assert (archives.matches(source), folders.is_list(source)) == (archive, listed)

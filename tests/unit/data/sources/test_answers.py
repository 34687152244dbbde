"""Errors of servers become one line without addresses; only what is wrong with one photograph sets it aside."""

import errno
import time

import pytest

from ced.core.images import Rejected
from ced.data.sources import answers
from ced.errors import InputError

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
        answers.told("s3://K:P@b/a?endpoint_override=10.1.2.3", lambda: fail(error))
    assert str(refusal.value).startswith(f"s3://b/a: {message}")


def test_a_photograph_is_set_aside_and_a_server_that_is_down_ends_the_work() -> None:
    with pytest.raises(Rejected) as refusal:
        answers.read("s3://b/a", lambda: fail(OSError("AWS Error NO_SUCH_KEY at host")))
    assert (refusal.value.reason, refusal.value.message) == ("unreadable", "no such key")
    with pytest.raises(InputError, match="^s3://b/a: the server does not answer"):
        answers.read("s3://b/a", lambda: fail(OSError(DOWN)))


def test_a_first_answer_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "ANSWER_TIMEOUT", 0.05)
    with pytest.raises(InputError, match="x: the server does not answer"):
        answers.first("x", lambda: time.sleep(1))
    assert answers.first("x", lambda: 5) == 5

"""The error tree: all of a user's mistakes end with exit code 2."""

import errno
import os
import pickle

import pytest

from ced import errors

KINDS = [errors.ConfigError, errors.InputError, errors.OutputError, errors.FormatError, errors.ServiceError]


@pytest.mark.parametrize("kind", [*KINDS, errors.TrainingError])
def test_each_is_a_mistake_of_exit_code_2_that_travels(kind: type[errors.CedError]) -> None:
    error = kind("what: why; cure")
    assert error.exit_code == 2
    assert isinstance(error, errors.CedError)
    assert str(pickle.loads(pickle.dumps(error))) == "what: why; cure"


def test_an_errors_first_line_is_the_first_with_anything_in_it() -> None:
    assert errors.first_line(ValueError("\n  no room\nand more")) == "no room"
    assert errors.first_line(ValueError("no room"), 2) == "no"
    assert errors.first_line("a reason") == "a reason"


def test_an_error_without_text_is_named_by_its_type() -> None:
    assert errors.first_line(MemoryError()) == "MemoryError"
    assert errors.first_line(MemoryError(" \n"), otherwise="") == ""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT, errno.EACCES, errno.EMFILE])
def test_a_failing_machine_is_a_mistake_outside_the_program(number: int) -> None:
    line = errors.of_the_machine(OSError(number, os.strerror(number), "/store/file"))
    assert isinstance(line, errors.OutputError)
    assert str(line).startswith(f"/store/file: {os.strerror(number)}; check the disk")


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "no"), BrokenPipeError(errno.EPIPE, "no"), OSError("no")]
)
def test_any_other_error_of_the_system_may_be_one_of_ours(error: OSError) -> None:
    assert errors.of_the_machine(error) is None

"""The error tree: all of a user's mistakes end with exit code 2."""

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

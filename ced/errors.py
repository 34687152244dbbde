"""The error tree: every mistake a user can make, as one clear line and exit code 2."""


class CedError(Exception):
    """A mistake outside the program: one line that names the culprit and the cure."""

    exit_code = 2


class ConfigError(CedError):
    """A recipe, section or setting that does not exist, or a value it cannot take."""


class InputError(CedError):
    """Photographs, folders or files given by the user that cannot be used."""


class OutputError(CedError):
    """A store, folder or file that cannot be written."""


class FormatError(CedError):
    """A file made by another version or another program than the reader expects."""


class ServiceError(CedError):
    """A Ray, MLflow or Prefect address where nobody answers."""


class TrainingError(CedError):
    """Training cannot go on (a loss that is not finite); the last checkpoint is intact."""

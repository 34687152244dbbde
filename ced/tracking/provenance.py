"""What decided a run's results, as plain values for results.json and MLflow, and the identity of the run."""

import dataclasses
from typing import Any

from ced.config import Config, as_dict, fingerprint
from ced.data import sources
from ced.store.outputs import Store


def described(config: Config) -> dict[str, Any]:
    """All settings but `cluster`, the sources without queries and passwords."""
    images = tuple(map(sources.redacted, config.images))
    public = dataclasses.replace(config, images=images, test_images=sources.redacted(config.test_images))
    return {key: value for key, value in as_dict(public).items() if key != "cluster"}


def pipeline_identity(config: Config, store: Store) -> str:
    """The identity of a pipeline run: the same configuration in the same store is continued."""
    return fingerprint("pipeline", described(config), str(store.root))

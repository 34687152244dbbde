"""Which trainings MLflow is told of while they run, and as what."""

from dataclasses import dataclass

from ced.config import Config, fingerprint
from ced.store.outputs import Place
from ced.tracking import provenance


@dataclass(frozen=True)
class Live:
    """Tell this MLflow, as a part of the pipeline run of this identity, or of none."""

    tracking_uri: str
    pipeline: str = ""


def of_pipeline(config: Config, place: Place, tracking_uri: str) -> Live:
    """The trainings of `ced run` are children of its run, which publishing completes."""
    return Live(tracking_uri, pipeline(config, place))


def pipeline(config: Config, place: Place) -> str:
    """The identity of a pipeline run: the same configuration in the same store is continued."""
    return fingerprint("pipeline", provenance.described(config), str(place.root))

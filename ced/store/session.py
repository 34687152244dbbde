"""What every stage of a run needs beside its settings and inputs."""

from dataclasses import dataclass

from ced.store.outputs import Store


@dataclass(frozen=True)
class Session:
    """Where outputs go, how much runs at a time, and which tracking server follows the run.

    A stage is `run(config, *inputs, session) -> Output`.
    """

    store: Store
    workers: int = 0  # parallel Ray Data tasks; 0 = one a core
    tracking_uri: str = ""  # of MLflow; "" = nothing is tracked
    pipeline: str = ""  # the identity of the pipeline run that trainings are tracked as parts of; "" = of none

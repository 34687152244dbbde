import dataclasses
from pathlib import Path

from ced.config import ClusterConfig, Config
from ced.store.outputs import Store
from ced.tracking import live


def test_a_pipeline_run_is_its_configuration_and_its_store(tmp_path: Path) -> None:
    config, store = Config(), Store(tmp_path)
    mine = live.pipeline(config, store)
    assert live.pipeline(Config(), Store(tmp_path)) == mine
    assert live.pipeline(config, Store(tmp_path / "other")) != mine
    assert live.pipeline(dataclasses.replace(config, images=("a",)), store) != mine
    faster = dataclasses.replace(config, cluster=ClusterConfig(train_workers=2))
    assert live.pipeline(faster, store) == mine, "how much of the machine is used is of no matter"


def test_trainings_of_a_pipeline_are_told_as_its_part(tmp_path: Path) -> None:
    told = live.of_pipeline(Config(), Store(tmp_path), "sqlite:///x.db")
    assert told == live.Live("sqlite:///x.db", live.pipeline(Config(), Store(tmp_path)))
    assert live.Live("sqlite:///x.db").pipeline == "", "of `ced train` there is none"

"""What is told of a configuration."""

import dataclasses
from pathlib import Path

from ced.config import ClusterConfig, Config, as_dict
from ced.store.outputs import Store
from ced.tracking import provenance


def test_the_sources_are_described_without_queries_and_passwords() -> None:
    config = Config(images=("s3://K:P@b/x?endpoint_override=h", "/a/b"), test_images="https://h/t.zip?token=P")
    told = provenance.described(config)
    assert (told["images"], told["test_images"]) == (["s3://b/x", "/a/b"], "https://h/t.zip")
    assert "cluster" not in told


def test_every_other_setting_is_told() -> None:
    config = Config(images=("/a",), test_images="builtin:test")
    assert provenance.described(config) == {key: value for key, value in as_dict(config).items() if key != "cluster"}


def test_a_pipeline_run_is_its_configuration_and_its_store(tmp_path: Path) -> None:
    config, store = Config(), Store(tmp_path)
    mine = provenance.pipeline_identity(config, store)
    assert provenance.pipeline_identity(Config(), Store(tmp_path)) == mine
    assert provenance.pipeline_identity(config, Store(tmp_path / "other")) != mine
    assert provenance.pipeline_identity(dataclasses.replace(config, images=("a",)), store) != mine
    faster = dataclasses.replace(config, cluster=ClusterConfig(train_workers=2))
    assert provenance.pipeline_identity(faster, store) == mine, "how much of the machine is used is of no matter"

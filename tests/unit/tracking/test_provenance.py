"""What is told of a configuration."""

from ced.config import Config, as_dict
from ced.tracking import provenance


def test_the_sources_are_described_without_queries_and_passwords() -> None:
    config = Config(images=("s3://K:P@b/x?endpoint_override=h", "/a/b"), test_images="https://h/t.zip?token=P")
    told = provenance.described(config)
    assert (told["images"], told["test_images"]) == (["s3://b/x", "/a/b"], "https://h/t.zip")
    assert "cluster" not in told


def test_every_other_setting_is_told() -> None:
    config = Config(images=("/a",), test_images="builtin:test")
    assert provenance.described(config) == {key: value for key, value in as_dict(config).items() if key != "cluster"}

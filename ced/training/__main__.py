"""The plain loop by itself: `python -m ced.training --job job.json`, or the same under torchrun."""

import argparse
import json
import sys

from ced import environment
from ced.config import Config, override
from ced.errors import CedError, ConfigError


def main() -> int:
    """Train one job; its reports are printed as they come, one JSON line each."""
    parser = argparse.ArgumentParser(prog="python -m ced.training", description=__doc__)
    parser.add_argument("--job", required=True, help="the job as written by TrainJob.to_json")
    parser.add_argument(
        "--set", action="append", default=[], metavar="cluster.key=value", help="how much of the machine to use"
    )
    arguments = parser.parse_args()
    environment.quiet()
    try:
        _train(arguments.job, arguments.set)
    except CedError as error:
        print(f"ced: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ced: stopped; the same command goes on where this one ended", file=sys.stderr)
        return 130
    return 0


def _train(path: str, settings: list[str]) -> None:
    """Raises ConfigError for a setting that would not count."""
    import torch  # which reads the environment that `quiet` has set

    from ced.training.context import PlainContext
    from ced.training.job import TrainJob, read
    from ced.training.trainer import train

    for setting in settings:
        if not setting.strip().startswith("cluster."):
            raise ConfigError(f"setting {setting!r}: cluster.key=value alone counts here; the rest is in {path}")
    cluster = override(Config(), settings).cluster
    job = TrainJob.from_json(read(path).decode("utf-8", "replace"), path)
    if cluster.threads_per_worker:
        torch.set_num_threads(cluster.threads_per_worker)
    with PlainContext.launched(lambda report: print(json.dumps(report), flush=True), cluster) as context:
        train(job, context)


if __name__ == "__main__":
    sys.exit(main())

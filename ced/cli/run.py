"""`ced run`: the Prefect flow in this process, on an embedded server where none is given."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ced import environment
from ced.cli.options import PhotographOptions, option
from ced.evaluation import evaluate
from ced.pipeline.session import check, open_store
from ced.recipes import configure
from ced.report import deliver


@dataclass(frozen=True, kw_only=True)
class RunOptions(PhotographOptions):
    recipe: str = option("RECIPE", "default: quickstart", positional=True, default="quickstart")
    test_images: str | None = option("SRC", "test images: a folder, archive, list, s3:// address or builtin:test")
    report: str | None = option("DIR", "copy report.html and results.json here")


def run(options: RunOptions) -> None:
    """Run the pipeline and print its table and where things are."""
    # Mistakes are found before a server is started for them.
    evaluate.check(configure(options.recipe, options.images, options.test_images, options.settings))
    deliver.check(options.report)
    store = open_store(options.store)
    check(store, options.ray_address)
    _check_prefect()
    with _prefect(store.root):
        from flows.pipeline import pipeline

        results = pipeline(
            recipe=options.recipe,
            images=options.images or None,
            test_images=options.test_images,
            store=str(store.root),
            report=options.report,
            settings=options.settings,
            ray_address=options.ray_address,
        )
    _print_results(results, store.root, options)


def _check_prefect() -> None:
    from flows import server

    if url := environment.load().prefect_api:
        server.check(url)


@contextlib.contextmanager
def _prefect(store: Path) -> Iterator[None]:
    """Prefect's server: the one of PREFECT_API_URL, else one of this run's own, with its database in the store."""
    environment.quiet()
    for level in ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_INTERNAL_LEVEL"):
        environment.set_default(level, "CRITICAL")  # our own lines say it; tracebacks are no messages
    from flows import server

    if environment.load().prefect_api:  # checked before
        server.leave_signals_to_the_command()
        with server.errors():
            yield
        return
    home = store / "prefect"
    home.mkdir(exist_ok=True)
    with (
        environment.inside_own_prefect(str(home)),
        server.embedded() as started,
        environment.temporarily("PREFECT_API_URL", started.url),
    ):
        import flows.pipeline  # noqa: F401 - what takes a while is imported while the server starts

        server.leave_signals_to_the_command()  # imports Prefect, which reads its settings then
        started.wait()
        with server.errors():
            yield


def _print_results(results: dict[str, Any], store: Path, options: RunOptions) -> None:
    from ced.pipeline.summary import rows_from
    from ced.report import tables

    print(tables.terminal(rows_from(results), tables.room(), styled=sys.stdout.isatty()))
    page = Path(options.report, "report.html").resolve() if options.report else Path(results["report"])
    model = results["model"]
    state = f"now @{model['alias']}" if model["promoted"] else f"not @{model['alias']}: {model['reason']}"
    print(f"report: {page}")
    print(f"model:  {model['name']} version {model['version']}, {state}\n")
    print("Try next:")
    quoted = shlex.quote(str(store))
    print(f"  ced restore photo.jpg -o photo.png --store {quoted}")
    print(f"  ced run {options.recipe} --store {quoted} --set autoencoder.steps=2000")
    print(f"  make ui STORE={quoted}")

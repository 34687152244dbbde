"""`ced run`: the Prefect flow in this process, on an embedded server where none is given."""

import argparse
import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ced import settings
from ced.evaluation import evaluate
from ced.pipeline.session import check, open_store
from ced.recipes import configure
from ced.report import deliver


def run(arguments: argparse.Namespace) -> None:
    """Run the pipeline and print its table and where things are."""
    # Mistakes are found before a server is started for them.
    evaluate.check(configure(arguments.recipe, arguments.images, arguments.test_images, arguments.settings))
    deliver.check(arguments.report)
    opened = open_store(arguments.store)
    check(opened, arguments.ray_address)
    store = opened.root
    with _prefect(store):
        from flows.pipeline import pipeline

        told = pipeline(
            recipe=arguments.recipe,
            images=arguments.images,
            test_images=arguments.test_images,
            store=str(store),
            report=arguments.report,
            settings=arguments.settings,
            ray_address=arguments.ray_address,
        )
    _tell(told, store, arguments)


@contextlib.contextmanager
def _prefect(store: Path) -> Iterator[None]:
    """Prefect's server: the one of PREFECT_API_URL, else one of this run's own, with its database in the store."""
    settings.quiet()
    for level in ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_INTERNAL_LEVEL"):
        settings.set_default(level, "CRITICAL")  # our own lines say it; tracebacks are no messages
    if settings.load().prefect_api:
        yield
        return
    from flows import server

    home = store / "prefect"
    home.mkdir(exist_ok=True)
    settings.set_default("PREFECT_HOME", str(home))
    settings.set_default("PREFECT_UI_ENABLED", "false")
    with server.embedded() as started, settings.temporarily("PREFECT_API_URL", started.url):
        import flows.pipeline  # noqa: F401 - what takes a while is imported while the server starts

        started.wait()
        yield


def _tell(told: dict[str, Any], store: Path, arguments: argparse.Namespace) -> None:
    from ced.pipeline.summary import rows_from
    from ced.report import text

    print(text.terminal(rows_from(told), text.room(), styled=sys.stdout.isatty()))
    page = Path(arguments.report, "report.html").resolve() if arguments.report else Path(told["report"])
    model = told["model"]
    state = f"now @{model['alias']}" if model["promoted"] else f"not @{model['alias']}: {model['reason']}"
    print(f"report: {page}")
    print(f"model:  {model['name']} version {model['version']}, {state}\n")
    print("Try next:")
    quoted = shlex.quote(str(store))
    print(f"  ced restore photo.jpg -o photo.png --store {quoted}")
    print(f"  ced run {arguments.recipe} --store {quoted} --set autoencoder.steps=2000")
    print(f"  make ui STORE={quoted}")

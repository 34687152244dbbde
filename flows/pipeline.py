"""The whole way, as a Prefect flow: what runs after what. Start reading here.

    photographs -> prepare -> edges -> label -> train C -> train ED, CED-EST, CED-GT
                -> evaluate -> report -> publish

Each stage finds its finished output in the store by the fingerprint of its configuration and inputs, so a flow
that is started again redoes nothing that is done, whoever starts it. Prefect's own cache is left out: it knows
only the runs of one server.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

from prefect import Task, flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from ced import progress
from ced.config import Config, as_settings
from ced.data import edges, label, prepare
from ced.evaluation import evaluate
from ced.pipeline import publish, restorers, summary
from ced.pipeline.session import session
from ced.recipes import configure
from ced.report import deliver
from ced.report import stage as reporting
from ced.store.outputs import Output
from ced.store.session import Session
from ced.tracking.runs import pipeline_identity
from ced.training import train
from ced.training.train import TrainingInputs
from flows.form import Form

P = ParamSpec("P")


def _stage(run: Callable[P, Output], name: str, run_name: str | None = None) -> Task[P, Output]:
    return task(name=name, task_run_name=run_name, cache_policy=NO_CACHE, persist_result=False)(run)


prepare_task = _stage(prepare.run, "prepare")
edges_task = _stage(edges.run, "edges")
label_task = _stage(label.run, "label")
train_task = _stage(train.run, "train", "train-{model}")
restorer_task = _stage(restorers.run, "restorer", "restorer-{method}")
evaluate_task = _stage(evaluate.run, "evaluate")
report_task = _stage(reporting.run, "report")
publish_task = _stage(publish.run, "publish")


@flow(name="pipeline", flow_run_name="{recipe}", persist_result=False)
def pipeline(
    recipe: str = "quickstart",
    images: list[str] | None = None,
    test_images: str | None = None,
    store: str | None = None,
    report: str | None = None,
    settings: list[str] | None = None,
    ray_address: str | None = None,
    form: Form | None = None,
) -> dict[str, Any]:
    """Photographs in, tables out. What `form` has comes on top of `settings`, and both on top of the recipe.

    Returns plain JSON values: the rows of the table, and where the report and the registered model are.
    """
    progress.enable()
    config = configure(recipe, images, test_images, [*(settings or ()), *as_settings(form or {})])
    deliver.check(report)
    with session(store, ray_address, config.cluster.data_workers) as running:
        outputs = run_stages(config, running)
        published = publish_task(config, outputs, running)
    results = summary.of(config, outputs, published)
    create_markdown_artifact(summary.markdown(results), key="results", description=f"Results of {recipe}")
    if report:
        deliver.deliver(outputs.reported, Path(report))
    return results


def run_stages(config: Config, running: Session) -> publish.PipelineOutputs:
    """Every stage up to the report, in order."""
    evaluate.check(config)  # a mistake in the last stage should not wait for the end of training
    prepared = prepare_task(config.prepare, config.images, running)
    classes = edges_task(config.classes, prepared, running)
    labelled = label_task(prepared, classes, running)
    create_markdown_artifact(summary.data(prepared, classes), key="data", description="Photographs and classes")

    # Followed in MLflow while they train, as parts of the run that publishing completes.
    followed = dataclasses.replace(running, pipeline=pipeline_identity(config, running.store))
    classifier = train_task("classifier", config, TrainingInputs(labelled, classes), followed)
    inputs = TrainingInputs(labelled, classes, classifier)
    trained = {method: train_task(method, config, inputs, followed) for method in config.evaluate.trained}
    complete = {
        method: restorer_task(method, autoencoder, classifier, classes, running, config.restore.temperature)
        for method, autoencoder in trained.items()
    }

    evaluated = evaluate_task(config.evaluate, config.test_images, complete, running)
    curves = {"classifier": classifier, **trained}
    reported = report_task(config, evaluated, curves, running)
    return publish.PipelineOutputs(prepared, classes, labelled, curves, complete, evaluated, reported)

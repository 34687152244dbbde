"""Many photographs restored, as a Prefect flow: `ced restore` for a deployment.

A run that was ended goes on where it was when it is run again: what is done is known from the record in the output
folder, not from Prefect.
"""

import dataclasses
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from ced import progress
from ced.errors import InputError
from ced.pipeline import restoring
from ced.pipeline.restoring import Restoring

restore_task = task(name="restore", cache_policy=NO_CACHE, persist_result=False)(restoring.many)


@flow(name="restore", persist_result=False)
def restore(
    sources: list[str],
    out: str,
    model: str | None = None,
    store: str | None = None,
    faithful: bool = False,
    read_off: str | None = None,
    self_ensemble: bool = False,
    format: str | None = None,
    output_quality: int | None = None,
    strip: bool = False,
    damaged: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    ray_address: str | None = None,
) -> dict[str, Any]:
    """Photographs in, restored ones out; each parameter is the option of `ced restore` of that name.

    Returns the counts as plain JSON values. Fails where files were set aside, once all others are done.
    """
    progress.enable()
    how = Restoring(
        model=model,
        store=store,
        faithful=faithful,
        read_off=read_off,
        self_ensemble=self_ensemble,
        format=format,
        output_quality=output_quality,
        strip=strip,
        damaged=damaged,
        overwrite=overwrite,
        workers=workers,
        ray_address=ray_address,
    )
    summary = restore_task(how, sources, out)
    for line in summary.lines():
        progress.logger.info(line)
    create_markdown_artifact(summary.markdown(), key="restored", description=f"What became of {summary.files:,} files")
    if summary.aside:
        raise InputError(summary.refusal())
    return dataclasses.asdict(summary)

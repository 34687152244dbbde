"""What is logged of an evaluation, once; what is forgotten when the registry is gone."""

from pathlib import Path

import pytest

from ced.errors import ServiceError
from ced.pipeline import track
from ced.store.outputs import Making, Output, Store, make, write_text
from ced.store.session import Session
from ced.tracking import client


@pytest.mark.parametrize("how", ["gone", "emptied"])
def test_what_was_told_to_a_file_that_is_gone_is_forgotten(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "publish"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    (tmp_path / "mlflow.db").write_text("runs")
    track.forget_lost(folder, client.local_uri(tmp_path))
    track.forget_lost(folder, "http://localhost:5000")
    assert (folder / "manifest.json").exists()
    if how == "gone":
        (tmp_path / "mlflow.db").unlink()
    else:
        (tmp_path / "mlflow.db").write_text("")
    track.forget_lost(folder, client.local_uri(tmp_path))
    assert not (folder / "manifest.json").exists()


def test_a_server_that_does_not_answer_is_one_line_and_nothing_is_taken_for_told(tmp_path: Path) -> None:
    def produce(making: Making) -> None:
        making.counts["images"] = 1

    store = Store(tmp_path)
    output = make(store, "evaluate", {"dataset": "set"}, {"images": "0123"}, produce)
    with pytest.raises(ServiceError, match=r"no MLflow server answers at http://127\.0\.0\.1:9;") as caught:
        track.run(output, output, {}, Session(store, tracking_uri="http://me:secret@127.0.0.1:9"), "ced")
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
    assert not list(tmp_path.glob("record/*/manifest.json"))


def finished(store: Store, stage: str, files: dict[str, str], config: dict[str, str], inputs: dict[str, str]) -> Output:
    def produce(making: Making) -> None:
        making.counts["images"] = 2
        for name, text in files.items():
            write_text(making.folder / name, text)

    return make(store, stage, config, inputs, produce)


def test_an_evaluation_is_logged_once_with_figures_lineage_rows_and_report(tmp_path: Path, tracking_uri: str) -> None:
    store = Store(tmp_path)
    inputs = {"images": "0123", "ed": "4567"}
    evaluated = finished(store, "evaluate", {"per_image.parquet": "rows"}, {"dataset": "set"}, inputs)
    reported = finished(store, "report", {"report.html": "page", "figures/figure-1.png": "picture"}, {}, {})
    session, figures = Session(store, tracking_uri=tracking_uri), {"ed/q10/psnr": 27.5}
    tracked = track.run(evaluated, reported, figures, session, "mine")
    assert track.run(evaluated, reported, figures, session, "mine").reused
    elsewhere = Session(Store(tmp_path / "elsewhere"), tracking_uri=tracking_uri)
    assert track.run_id(track.run(evaluated, reported, figures, elsewhere, "mine")) == track.run_id(tracked)
    mlflow_client = client.connect(tracking_uri)
    run = mlflow_client.get_run(track.run_id(tracked))
    assert (run.info.status, run.info.run_name) == ("FINISHED", "evaluate set")
    assert (run.data.params, run.data.metrics) == ({"dataset": "set"}, figures)
    own = {name: value for name, value in run.data.tags.items() if name.startswith("ced.") and name != "ced.publish"}
    assert own == {
        "ced.role": "evaluate",
        "ced.evaluate": evaluated.manifest.fingerprint,
        "ced.evaluate.content": evaluated.manifest.content,
        "ced.images.content": "0123",
        "ced.ed.content": "4567",
    }
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("set", "0123")
    files = {item.path for item in mlflow_client.list_artifacts(run.info.run_id)}
    assert files == {"per_image.parquet", "report.html", "figures"}
    assert [item.path for item in mlflow_client.list_artifacts(run.info.run_id, "figures")] == ["figures/figure-1.png"]

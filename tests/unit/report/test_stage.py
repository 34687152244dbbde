"""What a report says of the machine it was made on."""

from ced.report import stage


def test_versions_name_what_the_results_depend_on() -> None:
    assert {"ced", "python", "torch", "ray", "prefect", "mlflow", "pyarrow", "numpy", "pillow"} == set(stage.versions())

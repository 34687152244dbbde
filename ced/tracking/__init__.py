"""MLflow: runs, registry, and what a served model runs. Called by trainings and the pipeline."""

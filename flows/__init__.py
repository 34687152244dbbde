"""Prefect flows: what runs after what. Called by `ced run` and by deployments."""

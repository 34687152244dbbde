"""How near methods come to the original: metrics, rows of tables, and the runner. Called by flows and commands."""

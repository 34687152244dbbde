"""What belongs to whole runs: session, restorers, publication, experiments. Called by flows and commands."""

"""From photographs to labelled examples, and looking into outputs. Called by flows and commands."""

"""Tables, figures and the page of finished evaluations. Called by flows and commands."""

"""Ray: the connection, and jobs over parts. Called by the data stages and evaluations."""

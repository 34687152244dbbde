"""Is an output whole, and what is in it: `ced data`."""

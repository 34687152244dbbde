"""Numbers on values in memory, after the paper. Anybody may call it; it knows no files and no frameworks."""

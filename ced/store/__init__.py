"""Whole files, finished outputs, and the session of a run. Called by every stage."""

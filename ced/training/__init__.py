"""Trainings in plain torch, alone or under Ray Train. Called by flows and commands through `train`."""

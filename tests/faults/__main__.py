"""All standing fault tests, one after the other, and the table of docs/reliability.md.

python -m tests.faults [SEED]        or: make test-faults
"""

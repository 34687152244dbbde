#!/bin/bash
# The Prefect worker, beside a Ray node without CPUs: a Ray driver has to live on a node of its cluster.
# Whichever of the two ends takes the other with it, and the container starts again with both.
set -u

: "${RAY_ADDRESS:?set it to the address of the Ray head, as HOST:PORT}"
ray start --address="$RAY_ADDRESS" --num-cpus=0 --block &
prefect worker start --pool ced --type process --with-healthcheck &

trap : TERM INT # only ends the wait; once is enough, a second signal would kill the worker outright
wait -n
status=$?
kill $(jobs -p) 2>/dev/null
wait
exit "$status"

"""Settings by which the pipeline's networks are tiny."""

NETWORK = ("network.width=8", "network.width_half=4", "network.width_full=4", "network.blocks=1")

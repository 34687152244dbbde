"""ced: image restoration by estimating the frequency distribution of local patches."""

__version__ = "0.1.0"

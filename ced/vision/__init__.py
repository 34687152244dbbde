"""Table 3: what detectors and segmenters see in restored images. Called by `ced evaluate-vision`."""

"""The same networks with the same weights, faster: for restoring on a CPU, where no gradient is wanted.

The 3x3 convolutions of the residual blocks run at the processor's full rate as they are, and stay. What surrounds them
does not, and is arranged otherwise here; only the order of sums changes, so that the results are those of the plain
forward up to float32's rounding.
"""

import typing
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ced.models.autoencoder import AutoEncoder, Decoder
from ced.models.blocks import Downsample
from ced.models.classifier import FREQUENCIES, Classifier, StageBlock
from ced.models.features import SCALE, Features

_BAND_PIXELS = 1 << 17  # of the output at a time: larger tensors cost as much to be mapped as to be computed
_HALO = 2  # rows of patches beyond which D's convolutions after the blocks do not see


def restore(network: AutoEncoder, x: Tensor, q: Tensor | None = None) -> Tensor:
    """`network(x, q)`. Shapes: (B, C, H, W) in [0, 1] and (B, 16, H/4, W/4) -> (B, C, H, W)."""
    decoder = network.decoder
    f = _features(network.encoder, x)
    y = decoder.blocks(decoder.first(f if q is None else torch.cat([f, q], dim=1)))
    return _enlarge(decoder, y).add_(x if network.network.skip else 0.5)


def estimate(classifier: Classifier, x: Tensor) -> Tensor:
    """`classifier(x)[-1]`, the last stage's logits. Shape: (B, C, H, W) in [0, 1] -> (B, 16, K, H/4, W/4)."""
    f = _features(classifier.features, x)
    stages = typing.cast(Sequence[StageBlock], list(classifier.stages))
    p: Tensor | None = None
    for stage in stages[:-1]:
        p = _probabilities(stage, _joined(stage, f, p))
    logits: Tensor = stages[-1].last(_joined(stages[-1], f, p))
    return logits.view(len(x), FREQUENCIES, classifier.classes, *logits.shape[2:])


def _features(features: Features, x: Tensor) -> Tensor:
    x = features.blocks_full(features.stem((x - 0.5) * SCALE))
    x = features.blocks_half(_halved(features.to_half, x))
    f: Tensor = features.blocks(features.to_quarter(x))
    return f


def _halved(down: Downsample, x: Tensor) -> Tensor:
    """A convolution of stride 2 on few planes (seven times as slow as it need be), as one of stride 1 on 2x2 cells.

    The cells begin one pixel before the image, so that the filter's three pixels a side lie in two cells.
    """
    weight = down.convolution.weight
    if weight.shape[1] > 3:
        halved: Tensor = down(x)
        return halved
    cells = F.pixel_unshuffle(F.pad(x, [1, 1, 1, 1]), 2).contiguous(memory_format=torch.channels_last)
    filters = F.pixel_unshuffle(F.pad(weight, [0, 1, 0, 1]), 2).contiguous(memory_format=torch.channels_last)
    return F.leaky_relu_(F.conv2d(cells, filters, down.convolution.bias), down.slope)


def _enlarge(decoder: Decoder, y: Tensor) -> Tensor:
    """What follows D's blocks, in bands of rows. Shape: (B, width, H/4, W/4) -> (B, C, H, W)."""
    if len(decoder.blocks_half) or len(decoder.blocks_full):  # they see farther than a band would be worth
        return _after(decoder, y)
    height, width = y.shape[2:]
    rows = max(4 * _HALO, _BAND_PIXELS // (16 * width))
    out = y.new_empty(len(y), decoder.last.out_channels, 4 * height, 4 * width)
    for top in range(0, height, rows):
        bottom, start = min(top + rows, height), max(top - _HALO, 0)
        band = _after(decoder, y[:, :, start : bottom + _HALO])
        out[:, :, 4 * top : 4 * bottom] = band[:, :, 4 * (top - start) : 4 * (bottom - start)]
    return out


def _after(decoder: Decoder, y: Tensor) -> Tensor:
    out: Tensor = decoder.last(decoder.blocks_full(decoder.to_full(decoder.blocks_half(decoder.to_half(y)))))
    return out


def _joined(stage: StageBlock, f: Tensor, p: Tensor | None) -> Tensor:
    """A stage before its last convolution. p is that of `_probabilities`, in its order of maps."""
    if p is None:
        x = stage.first(f)
    else:
        convolution, n_f = stage.first.convolution, f.shape[1]
        weight = torch.cat([convolution.weight[:, :n_f], convolution.weight[:, n_f:][:, _by_class(stage)]], dim=1)
        weight = weight.contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu_(F.conv2d(torch.cat([f, p], dim=1), weight, convolution.bias, padding=1), stage.first.slope)
    joined: Tensor = stage.blocks(x)
    return joined


def _probabilities(stage: StageBlock, x: Tensor) -> Tensor:
    """p-hat (B, K * 16, h, w), class after class: then the softmax walks along rows of memory."""
    order, last = _by_class(stage), stage.last
    assert last.bias is not None
    logits = F.conv2d(x, last.weight[order], last.bias[order]).permute(0, 2, 3, 1)
    p = logits.reshape(*logits.shape[:3], stage.classes, FREQUENCIES).softmax(dim=3)
    return p.flatten(3).permute(0, 3, 1, 2)


def _by_class(stage: StageBlock) -> Tensor:
    """Where the maps of class 0 are, one a frequency channel, then those of class 1, and so on. Shape: (K * 16,)."""
    device = stage.last.weight.device
    return torch.arange(FREQUENCIES * stage.classes, device=device).view(FREQUENCIES, -1).T.flatten()

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.config import EvaluateConfig
from ced.core import jpeg, sa_dct
from ced.core.images import luminance
from ced.core.metrics import measure
from ced.errors import ConfigError
from ced.methods import Damaged, Failed, checked, find, parse
from ced.methods.sa_dct import SaDctMethod

CUP = data.coffee()[100:148, 200:264]
CONFIG = EvaluateConfig(methods=("sa-dct",))


def test_it_is_found_by_its_bare_name_and_under_another(tmp_path) -> None:
    for text, name in (("sa-dct", "sa-dct"), ("old=sa-dct", "old")):
        method = find(parse(text), CONFIG, tmp_path)
        assert isinstance(method, SaDctMethod) and method.name == name
    with pytest.raises(ConfigError, match="has no network; leave self-ensemble: out"):
        find(parse("x=self-ensemble:sa-dct"), CONFIG, tmp_path)


def test_luminance_is_filtered_by_the_noise_of_the_files_own_table() -> None:
    plane = luminance(CUP)
    damaged = Damaged.of("cup", 10, plane)
    restored = checked(SaDctMethod("sa-dct"), damaged)
    expected = sa_dct.deblocked(damaged.image, sa_dct.noise(jpeg._tables()[0, 9]))
    assert np.array_equal(restored, expected.round().clip(0, 255).astype(np.uint8))
    assert measure(plane, restored).psnr > measure(plane, damaged.image).psnr + 0.3


def test_colour_comes_nearer_in_luminance_and_in_chroma() -> None:
    damaged = Damaged.of("cup", 10, CUP)
    restored = checked(SaDctMethod("sa-dct"), damaged)
    for channel in ("Y", "Cb", "Cr"):
        original, before, after = (
            np.asarray(Image.fromarray(image).convert("YCbCr").getchannel(channel), float)
            for image in (CUP, damaged.image, restored)
        )
        assert np.square(after - original).mean() < np.square(before - original).mean()


def test_a_stream_without_tables_is_a_failure() -> None:
    stream = io.BytesIO()
    Image.fromarray(CUP).save(stream, "PNG")
    with pytest.raises(Failed, match="no quantization tables"):
        SaDctMethod("sa-dct").restore(Damaged("cup", 10, stream.getvalue(), CUP))


def test_the_tables_are_those_that_the_components_name() -> None:
    luma, chroma = ([step] * 64 for step in (7, 31))
    stream = io.BytesIO()
    Image.fromarray(CUP).save(stream, "JPEG", qtables=[luma, chroma])
    assert [table[0] for table in jpeg.tables_of(stream.getvalue())] == [7, 31, 31]
    assert jpeg.tables_of(b"words") == ()

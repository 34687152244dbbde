"""The script inside a deployed model, without a server around it."""

import io
import json
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import PythonModelContext
from PIL import Image
from skimage import data

from ced.decoding import Decoder
from ced.restoration.restorer import Restorer
from ced.tracking import registry
from ced.tracking.serving_model import Refused, Restoration

SETTINGS = {**registry.SERVING, "max_images": 3, "max_bytes": 100_000, "max_pixels": 10_000}


@pytest.fixture(scope="module")
def model(restorer_folder: Path) -> Restoration:
    model = Restoration()
    model.load_context(PythonModelContext({"restorer": str(restorer_folder)}, SETTINGS))
    return model


def picture(kind: str = "JPEG", width: int = 61, height: int = 47, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(data.coffee()[:height, :width]).convert(mode).save(stream, kind)
    return stream.getvalue()


def ask(model: Restoration, *images: object) -> list[bytes]:
    return list(model.predict(None, pd.DataFrame({"image": list(images)}))["image"])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_answer_is_that_of_the_restorer(model: Restoration, restorer_folder: Path, kind: str, mode: str) -> None:
    sent = picture(kind, mode=mode)
    (answer,) = ask(model, sent)
    assert answer == Restorer.load(restorer_folder).restore_bytes(sent)
    with Image.open(io.BytesIO(answer)) as image, Image.open(io.BytesIO(sent)) as before:
        assert image.format == "PNG" and image.size == (61, 47)
        assert (np.asarray(image) != np.asarray(before.convert(image.mode))).any()


def test_several_images_are_answered_in_order(model: Restoration) -> None:
    sizes = [(61, 47), (24, 90), (33, 8)]
    answers = ask(model, *(picture(width=width, height=height) for width, height in sizes))
    assert [Image.open(io.BytesIO(answer)).size for answer in answers] == sizes


BAD = {
    "words": (b"these are words", "no JPEG, PNG, WebP or BMP file (not an image)"),
    "nothing": (b"", "no bytes; send the file as base64 text (empty)"),
    "null": (None, "no bytes"),
    "a number": (7, "no bytes"),
    "a string": ("/9j/", "no bytes"),
    "half a file": (picture()[:700], "(truncated)"),
    "another format": (picture("GIF"), "(not an image)"),
    "many bytes": (picture() + bytes(100_000), "bytes, the limit is 100000 (too large)"),
    "many pixels": (picture(width=200, height=51), "10200 pixels, the limit is 10000 (too large)"),
    "a PNG header alone": (picture("PNG")[:40], "be restored"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_restored_is_refused_in_one_line(model: Restoration, name: str) -> None:
    sent, reason = BAD[name]
    with pytest.raises(Refused) as caught:
        ask(model, picture(), sent)
    error = caught.value
    assert error.get_http_status_code() == 400
    body = json.loads(error.serialize_as_json())
    assert body["error_code"] == "BAD_REQUEST" and set(body) == {"error_code", "message"}
    assert body["message"].startswith("image 2 of 2 cannot be restored: ") and reason in body["message"]
    assert "\n" not in body["message"] and "0x" not in body["message"]
    assert ask(model, picture())  # the next one is served


def test_the_servers_addition_to_the_message_does_not_reach_the_user(model: Restoration) -> None:
    with pytest.raises(Refused) as caught:
        ask(model, b"words")
    caught.value.message = "Failed to predict data 'a whole request'"  # as MLflow's scoring server does
    assert "whole request" not in caught.value.serialize_as_json()


@pytest.mark.parametrize(
    ("side", "message"), [(30_000, "900000000 pixels, the limit"), (10_000, "100000000 pixels, the limit")]
)
def test_a_bomb_is_refused_by_its_header(side: int, message: str) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    bomb = picture("PNG")[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    bomb += struct.pack(">I", 100) + b"IDAT" + bytes(20)
    no_restorer = Restoration()
    no_restorer.settings, no_restorer.decoder, no_restorer.turn = SETTINGS, Decoder(), threading.Lock()
    with pytest.raises(Refused, match=rf"image cannot be restored: {message} .*\(too large\)"):
        ask(no_restorer, bomb)


def test_a_request_has_a_limit_of_images(model: Restoration) -> None:
    with pytest.raises(Refused, match="4 images in one request, the limit is 3"):
        ask(model, *[picture()] * 4)
    assert ask(model) == []


def test_memory_that_runs_out_is_the_servers_fault(restorer_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Restoration()
    model.load_context(PythonModelContext({"restorer": str(restorer_folder)}, SETTINGS))
    huge = Image.new("L", (100, 100))

    def allocate(_: object) -> bytes:
        return bytes(np.empty((1 << 46,), np.uint8)[: huge.width])  # more than any machine has

    monkeypatch.setattr(type(model.family), "png", lambda _, data: allocate(data))
    with pytest.raises(Refused) as caught:
        ask(model, picture())
    assert caught.value.get_http_status_code() == 500
    assert json.loads(caught.value.serialize_as_json())["message"].endswith("a smaller one may be")


def test_requests_at_the_same_time_get_their_own_answers(model: Restoration) -> None:
    sent = [picture(width=20 + number, height=20) for number in range(6)]
    answers: dict[int, list[bytes]] = {}
    threads = [
        threading.Thread(target=lambda n=n: answers.__setitem__(n, ask(model, sent[n]))) for n in range(len(sent))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: ask(model, one) for number, one in enumerate(sent)}

"""`mlflow models serve` of the champion: JPEG bytes in, PNG bytes out, and one line for what cannot be restored."""

import base64
import dataclasses
import io
import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from ced.config import Config
from ced.pipeline import publish
from ced.pipeline.publish import PipelineOutputs
from ced.restoration.restorer import Restorer
from ced.store.outputs import Store
from ced.store.session import Session
from ced.tracking import client

Ask = Callable[[Any], tuple[int, str]]

# A machine that has what the model requires and nothing else: what a served model may not need cannot be imported,
# and `ced` is not installed. One of its image decoders is bad.
BARE_MACHINE = """
import os
import sys
import time

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ray", "prefect", "rich", "matplotlib", "skimage"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())

from PIL import Image, ImageFile

class Bad(ImageFile.ImageFile):
    format = "BMP"

    def _open(self):
        self._mode, self._size, self.tile = "RGB", (64, 64), []
        self.how = self.fp.read(9)

    def load(self):
        if self.how.endswith(b"hangs"):
            time.sleep(1000)
        os.abort()

Image.init()
Image.register_open("BMP", Bad, lambda prefix: prefix.startswith(b"BAD"))
"""


@pytest.fixture(scope="module")
def restorer(made: dict[str, PipelineOutputs]) -> Restorer:
    torch.set_num_threads(1)
    return Restorer.load(made["trained"].restorers["ced-gt"].path)


@pytest.fixture(scope="module")
def ask(
    pipeline_config: Config,
    made: dict[str, PipelineOutputs],
    tmp_path_factory: pytest.TempPathFactory,
    start_server: Callable[..., AbstractContextManager[None]],
    unused_port: int,
) -> Iterator[Ask]:
    """POST to a server of the champion: status and body."""
    root = tmp_path_factory.mktemp("serving")
    uri = client.local_uri(root / "store")
    publish.run(pipeline_config, made["trained"], Session(Store(root / "store"), tracking_uri=uri))
    (root / "bare").mkdir()
    (root / "bare" / "sitecustomize.py").write_text(BARE_MACHINE)
    environment = {
        "PYTHONPATH": str(root / "bare"),
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "OMP_NUM_THREADS": "1",
        "SERVING_MODEL_CONFIG": json.dumps({"max_pixels": 1_000_000, "max_seconds": 3}),
    }
    command = ["mlflow", "models", "serve", "-m", "models:/ced@champion", "--env-manager", "local"]
    address = f"http://127.0.0.1:{unused_port}"

    def post(body: Any, kind: str = "application/json") -> tuple[int, str]:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{address}/invocations", sent, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    with start_server([*command, "-p", str(unused_port)], f"{address}/ping", root, **environment):
        yield post


@pytest.fixture(scope="module")
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def jpeg(width: int = 101, height: int = 75, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(data.coffee()).convert(mode).resize((width, height)).save(stream, "JPEG", quality=10)
    return stream.getvalue()


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("1", (width, height)).save(stream, "PNG")
    return stream.getvalue()


def request(*images: bytes | str | float | None) -> dict[str, Any]:
    texts = [base64.b64encode(one).decode() if isinstance(one, bytes) else one for one in images]
    return {"dataframe_split": {"columns": ["image"], "data": [[text] for text in texts]}}


def pictures(body: str) -> list[bytes]:
    return [base64.b64decode(row["image"]) for row in json.loads(body)["predictions"]]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_answer_is_the_png_that_ced_restore_writes(ask: Ask, restorer: Restorer, mode: str) -> None:
    sent = jpeg(mode=mode)
    status, body = ask(request(sent))
    assert status == 200
    (answer,) = pictures(body)
    assert answer == restorer.restore_bytes(sent)
    with Image.open(io.BytesIO(answer)) as image, Image.open(io.BytesIO(sent)) as before:
        assert (image.format, image.size, image.mode) == ("PNG", (101, 75), mode)
        assert (np.asarray(image) != np.asarray(before)).any()


def test_other_forms_of_the_request_and_several_images(ask: Ask, restorer: Restorer) -> None:
    sent = [jpeg(width=40), jpeg(width=77)]
    texts = [base64.b64encode(one).decode() for one in sent]
    expected = [restorer.restore_bytes(one) for one in sent]
    for body in (request(*sent), {"dataframe_records": [{"image": text} for text in texts]}):
        status, answer = ask(body)
        assert status == 200 and pictures(answer) == expected


BAD = {
    "words": (request(b"these are words"), "image cannot be restored: no JPEG, PNG, WebP or BMP file (not an image)"),
    "half a file": (request(jpeg()[: len(jpeg()) * 3 // 4]), "(truncated)"),
    "one of two": (request(jpeg(), b"x"), "image 2 of 2 cannot be restored"),
    "nothing": (request(b""), "there are no bytes; send the file as base64 text (empty)"),
    "more pixels than the server was told to take": (
        request(jpeg(1200, 1000, "L")),
        "1200000 pixels, the limit is 1000000 (too large)",
    ),
    "a program": (request(b"%!PS-Adobe-3.0 EPSF-3.0\n{} loop\n"), "no JPEG, PNG, WebP or BMP file (not an image)"),
    "a line": (request(png(70_001, 1)), "70001x1 pixels, the limit of a side is 65500 (too large)"),
    "what hangs": (request(b"BAD hangs"), "image cannot be restored: decoding it takes more than 3 s (too slow)"),
    "what crashes": (request(b"BAD abort"), "decoding it ended the process (SIGABRT) (crashed)"),
    "seventeen": (request(*[jpeg(8, 8)] * 17), "17 images in one request, the limit is 16"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_answered_in_one_line_and_the_next_is_served(ask: Ask, restorer: Restorer, name: str) -> None:
    body, reason = BAD[name]
    status, answer = ask(body)
    assert status == 400
    told = json.loads(answer)
    assert set(told) == {"error_code", "message"} and reason in told["message"]
    assert "\n" not in told["message"] and not re.search(r"Traceback|\.py|/|0x", told["message"])
    status, answer = ask(request(jpeg()))
    assert status == 200 and pictures(answer) == [restorer.restore_bytes(jpeg())]


@pytest.mark.parametrize(
    "body",
    [b"{not json", b"\xff\xfe", {}, {"inputs": {}}, {"inputs": {"picture": ["aGk="]}}, request(7), request(None),
     request("this is no base64 %%%")],
)  # fmt: skip
def test_a_bad_request_is_the_senders_fault_and_shows_no_insides(ask: Ask, body: Any) -> None:
    """These MLflow refuses itself, before the model is asked."""
    status, answer = ask(body)
    assert status == 400
    assert not re.search(r"Traceback|site-packages|\.py\b|File \"", answer), answer
    assert ask(request(jpeg()))[0] == 200


def test_the_commands_of_the_readme(ask: Ask, unused_port: int, restorer: Restorer, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    command = f"""(printf '{{"dataframe_records": [{{"image": "'; base64 < photo.jpg | tr -d '\\n'; printf '"}}]}}') |
      curl -s http://127.0.0.1:{unused_port}/invocations -H 'Content-Type: application/json' -d @- |
      python3 -c 'import base64, json, sys
sys.stdout.buffer.write(base64.b64decode(json.load(sys.stdin)["predictions"][0]["image"]))' > photo.png"""
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "photo.png").read_bytes() == restorer.restore_bytes(jpeg())


def test_another_model_is_another_answer(made: dict[str, PipelineOutputs], restorer: Restorer) -> None:
    """The comparison above can tell models apart."""
    other = Restorer.load(made["bad"].restorers["ced-gt"].path)
    assert other.restore_bytes(jpeg()) != restorer.restore_bytes(jpeg())
    assert dataclasses.replace(other).restore_bytes(jpeg()) == other.restore_bytes(jpeg())

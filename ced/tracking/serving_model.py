"""What runs inside a deployed model: JPEG bytes in, PNG bytes out.

MLflow keeps this file inside the model and runs it on loading ("models from code"), with the part of `ced` it
imports beside it. It is a script: nothing else imports it.
"""

import json
import threading
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR

from ced.core.images import Rejected
from ced.decoding import Decoded, Decoder
from ced.restoration.family import Family

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")


class Refused(MlflowException):  # type: ignore[misc]  # the base has no types
    """An answer of one line. MLflow's server puts the whole request before the message; this leaves it out."""

    def __init__(self, reason: str, error_code: int = BAD_REQUEST):
        super().__init__(reason, error_code=error_code)
        self.reason = reason

    def serialize_as_json(self) -> str:
        """The body of the HTTP answer."""
        return json.dumps({"error_code": self.error_code, "message": self.reason})


class Restoration(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Restores the column `image`, one image at a time whatever the number of requests."""

    def load_context(self, context: Any) -> None:
        """Read the weights: safetensors and JSON, no pickle."""
        self.settings = dict(context.model_config)
        self.family = Family.load(context.artifacts["restorer"]).on(self.settings["device"])
        self.decoder = Decoder(self.settings["max_seconds"]).start()
        self.turn = threading.Lock()

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One PNG per row. Raises Refused: the answer is 400 with the reason."""
        images = list(model_input["image"])
        most = self.settings["max_images"]
        if len(images) > most:
            raise Refused(f"{len(images)} images in one request, the limit is {most}; send them in several")
        return pd.DataFrame({"image": [self._restore(data, n, len(images)) for n, data in enumerate(images, 1)]})

    def _restore(self, data: object, number: int, count: int) -> bytes:
        name = "image" if count == 1 else f"image {number} of {count}"
        try:
            with self.turn:
                photograph = self._decoded(data)
                return self.family.png(photograph)
        except Rejected as error:
            raise Refused(f"{name} cannot be restored: {error.message} ({error.reason})") from None
        except (MemoryError, RuntimeError) as error:  # torch reports exhausted memory as a RuntimeError
            kind = type(error).__name__
            raise Refused(f"{name} could not be restored here ({kind}); a smaller one may be", INTERNAL_ERROR) from None
        except Exception as error:  # noqa: BLE001 - MLflow would answer with our own lines of code
            raise Refused(f"{name} could not be restored here ({type(error).__name__})", INTERNAL_ERROR) from None

    def _decoded(self, data: object) -> Decoded:
        """The image, decoded within the limits. Raises Rejected."""
        if not isinstance(data, bytes) or not data:
            raise Rejected("empty", "there are no bytes; send the file as base64 text")
        if len(data) > self.settings["max_bytes"]:
            raise Rejected("too large", f"{len(data)} bytes, the limit is {self.settings['max_bytes']}")
        try:
            return self.decoder.decode(data, self.settings["max_pixels"], FORMATS)
        except Rejected as error:
            if error.reason == "not an image":
                raise Rejected("not an image", "no JPEG, PNG, WebP or BMP file") from None
            raise


mlflow.models.set_model(Restoration())

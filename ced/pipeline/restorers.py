"""Between training and evaluation: each method's weights and classes, together in one folder."""

from functools import partial
from pathlib import Path

from ced.data import edges
from ced.errors import InputError
from ced.networks import NETWORKS
from ced.restoration import restorer
from ced.restoration.family import files_of
from ced.store.outputs import Making, Manifest, Output, check_small, make, read_manifest, sha256, write_bytes
from ced.store.session import Session
from ced.training.job import WEIGHTS


def run(
    method: str, autoencoder: Output, classifier: Output, classes: Output, session: Session, temperature: float = 0.0
) -> Output:
    """The restorer of `method`: CED with C and M beside its encoder and decoder, the others by themselves.

    `temperature` is CED-GT's: CED-EST is trained with the most probable classes.
    """
    parts = {"autoencoder": autoencoder}
    architecture = NETWORKS.get(method)
    if architecture.conditioned:
        parts |= {"classifier": classifier, "classes": classes}
    inputs = {name: part.manifest.content for name, part in parts.items()}
    described = {"method": method, "version": restorer.VERSION}
    temperature = temperature if architecture.q == "truth" else 0.0
    if temperature:
        described["temperature"] = temperature
    return make(session.store, f"restorer-{method}", described, inputs, partial(_produce, method, parts, temperature))


def _produce(method: str, parts: dict[str, Output], temperature: float, making: Making) -> None:
    weights = {name: (part.path / WEIGHTS).read_bytes() for name, part in parts.items() if name != "classes"}
    table = (parts["classes"].path / edges.FILE).read_text() if "classes" in parts else ""
    contents = restorer.files(method, weights["autoencoder"], weights.get("classifier", b""), table, temperature)
    for name, data in contents.items():
        write_bytes(making.folder / name, data)


def from_folder(method: str, folder: Path) -> Output:
    """The folder of a restorer or a family that was made elsewhere, as an output. Raises FormatError where it is
    neither."""
    parts = {name: sha256(path) for name, path in files_of(folder).items()}
    return Output(folder.resolve(), Manifest(f"restorer-{method}", "", {}, {}, {}, parts), reused=True)


def finished(folder: Path) -> Output:
    """The finished output in `folder`. Raises InputError where there is none, or one of its parts is gone, FormatError
    where one was altered."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise InputError(f"{folder}: no finished output of `ced prepare -o` there; make it first")
    gone = [name for name in manifest.parts if not (folder / name).is_file()]
    if gone:
        which = gone[0] if len(gone) == 1 else f"{gone[0]} and {len(gone) - 1} more"
        raise InputError(f"{folder}: {which} missing; `ced data verify {folder}` says how to have it made again")
    check_small(folder, manifest)
    return Output(folder.resolve(), manifest, reused=True)

"""Small real outputs of prepare, edges, label and evaluate, made part by part without Ray."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from ced.cluster import parts as cluster_parts
from ced.cluster.parts import Later, Row
from ced.config import ClassesConfig, EvaluateConfig, PrepareConfig, as_dict
from ced.core import classes
from ced.core.frequency import by_channel, coefficients
from ced.core.images import luma_of, luminance
from ced.core.quantiles import Coarse, Fine
from ced.data import edges, label, prepare
from ced.data.sources import Photograph
from ced.evaluation import evaluate, metrics, pool, runner
from ced.methods import find as find_method
from ced.methods import parse
from ced.store.outputs import Making, Output, Store, make, sha256, write_text
from ced.tracking import client

SIZE = 32


def build(root: Path, colour: str = "y") -> dict[str, Output]:
    """Three photographs, two crops and their flips of each, in two parts; one file that is none, set aside."""
    photographs = root / "photographs"
    photographs.mkdir(parents=True)
    for name, picture in (("cat", data.chelsea()), ("cup", data.coffee()), ("man", data.camera())):
        Image.fromarray(picture).save(photographs / f"{name}.png")
    (photographs / "text.jpg").write_text("words")
    config = PrepareConfig(mode="crops", size=SIZE, crops=2, colour=colour)
    place = Store(root / "out", flat=True)

    def examples(making: Making) -> None:
        for part, names in enumerate((["cat.png", "text.jpg"], ["cup.png", "man.png"])):
            listed = [Photograph(name, str(photographs / name), "") for name in names]
            prepare.prepare_part(config, config.crops, str(making.folder), {"part": part, "photographs": listed})()
        making.counts.update({"photographs": 4, "prepared": 3, "quarantined": 1, "examples": 12})
        making.counts["quarantined: not an image"] = 1

    prepared = make(place, "prepare", as_dict(config), {"photographs": "0123456789abcdef"}, examples)
    parts = sorted((prepared.path / "examples").iterdir())

    def table(making: Making) -> None:
        planes = np.concatenate([some for part in parts for some in edges.target_planes(part)])
        q = by_channel(coefficients(luma_of(planes)))
        coarse = Coarse.of(q)
        fitted = classes.fit(coarse, Fine.of(q, classes.wanted_bins(coarse, 7)), 7)
        making.counts.update(coefficients=q.size, channels=16, classes=7)
        write_text(making.folder / "classes.json", fitted.to_json())

    made_from = {"examples": prepared.manifest.content}
    found = make(place, "edges", as_dict(ClassesConfig()), made_from, table)

    def labelled(making: Making) -> None:
        for part in parts:
            label.label_part(edges.load(found), str(making.folder), {"part": str(part)})()
        making.counts["examples"] = 12

    inputs = made_from | {"classes": found.manifest.content}
    return {"prepare": prepared, "edges": found, "label": make(place, "label", {"schema": "1"}, inputs, labelled)}


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `ced prepare -o` writes of luminance: not to be altered."""
    root = tmp_path_factory.mktemp("pristine")
    build(root)
    return root / "out"


@pytest.fixture
def outputs(pristine: Path, tmp_path: Path) -> Path:
    """A copy of it, to do with as one likes."""
    return Path(shutil.copytree(pristine, tmp_path / "out"))


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in RGB: not to be altered."""
    root = tmp_path_factory.mktemp("coloured")
    build(root, "rgb")
    return root / "out"


@pytest.fixture
def edit() -> Callable[[Path, Callable[[dict], None]], None]:
    """Change an output's manifest, of before manifests had digests of themselves."""

    def change(folder: Path, how: Callable[[dict], None]) -> None:
        path = folder / "manifest.json"
        stored = json.loads(path.read_text())
        stored.pop("digest", None)
        how(stored)
        path.write_text(json.dumps(stored))

    return change


@pytest.fixture
def restate() -> Callable[[Path], None]:
    """Let the manifest above a part, of before manifests had digests, state the part as it is now."""

    def change(part: Path) -> None:
        folder = next(folder for folder in part.parents if (folder / "manifest.json").exists())
        stored = json.loads((folder / "manifest.json").read_text())
        stored.pop("digest", None)
        stored["parts"][part.relative_to(folder).as_posix()] = sha256(part)
        (folder / "manifest.json").write_text(json.dumps(stored))

    return change


@pytest.fixture(scope="session")
def evaluation_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a finished evaluation: two photographs, JPEG and a folder of smoothed images. Not to be altered."""
    root = tmp_path_factory.mktemp("evaluation")
    evaluate_small(root)
    return root / "store"


def evaluate_small(root: Path) -> Output:
    """Measure JPEG and a 3x3 mean of it at QF 10 and 20, on a cat and a cup, without Ray."""
    files = {"cat.png": data.chelsea()[60:132, 100:204], "cup.png": data.coffee()[100:180, 200:296]}
    for name, pixels in files.items():
        (root / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / "images" / name)
        for quality in (10, 20):
            (root / "smooth" / f"q{quality}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(luminance(pixels)).filter(ImageFilter.BoxBlur(1)).save(root / f"smooth/q{quality}" / name)
    config = EvaluateConfig(methods=("jpeg", f"smooth=folder:{root / 'smooth'}"), qualities=(10, 20))
    methods = tuple(find_method(parse(text), config, root) for text in config.methods)

    def produce(making: Making) -> None:
        schema = metrics.per_image_schema()
        measurer = evaluate.Fidelity(
            "set", str(making.folder), "y", "jpeg", methods, 2, metrics.measured(config), schema
        )
        pooled, parts = pool.Pool(config.qualities, config.names, {}), []
        for number, name in enumerate(files):
            photograph = (f"set/{name}", str(root / "images" / name), "")
            for quality in config.qualities:
                task = {"number": number, "quality": quality, "name": f"set/{name}", "photographs": [photograph]}
                task |= {"part": evaluate.part_name(number, quality), "patches": True}
                assert runner.measure_part(measurer, task)()["reason"] == ""
                pooled.add(making.folder / evaluate.SPECTRA / str(task["part"]), quality)
                parts.append(making.folder / evaluate.PARTS / str(task["part"]))
        pooled.write(making.folder)
        runner.collect(making.folder, parts, schema)
        making.counts.update(images=2, rows=8)

    described = {**as_dict(config), "methods": list(config.names), "dataset": "set"}
    return make(Store(root / "store"), "evaluate", described, {"images": "0123456789abcdef"}, produce)


@pytest.fixture
def tasks_here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tasks run in this process, one after the other; the workers that were asked for."""
    asked: list[int] = []

    def run_tasks(function: Callable[[Row], Row | Later], rows: list[Row], workers: int) -> Iterator[Row]:
        asked.append(workers)
        for row in rows:
            answer = function(row)
            yield answer() if callable(answer) else answer

    monkeypatch.setattr(cluster_parts, "run_tasks", run_tasks)
    return asked


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    root = tmp_path_factory.mktemp("registry")
    client.connect(client.local_uri(root)).search_experiments()
    return root / client.DATABASE


@pytest.fixture
def tracking_uri(tmp_path: Path, _empty_database: Path) -> str:
    """The address of a registry that is empty."""
    shutil.copyfile(_empty_database, tmp_path / client.DATABASE)
    return client.local_uri(tmp_path)


@pytest.fixture
def one_thread_and_one_seed() -> Iterator[None]:
    """For what torch computes: the same bits every time, and no other test hears of it."""
    import torch  # which most of these tests do without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)

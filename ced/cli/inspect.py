"""`ced recipes`, `ced data verify` and `ced data show`: what can be run, and what was made."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from ced import terminal
from ced.cli.options import SET, option, written_as
from ced.config import SECTIONS, as_settings
from ced.data.inspect import show as showing
from ced.data.inspect import verify as verifying
from ced.errors import ConfigError, FormatError, OutputError
from ced.networks import NETWORKS
from ced.recipes import RECIPES, configure
from ced.store import finished
from ced.store.outputs import write_bytes
from ced.tracking import client, sqlite

_MOST = 256  # examples on one sheet


@dataclass(frozen=True, kw_only=True)
class RecipesOptions:
    action: str | None = option(help="show one recipe's settings", positional=True, choices=("show",))
    name: str | None = option("NAME", "the recipe that is shown", positional=True)
    settings: list[str] = written_as(SET)


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """`ced data verify`."""

    folders: list[str] = option("DIR", "a finished output, or a folder of them: a store", positional=True)


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """`ced data show`."""

    folder: str = option("DIR", "what `ced prepare -o` wrote, or one output of it", positional=True)
    out: str = option("PNG", "default: contact-sheet.png", short="-o", default="contact-sheet.png")
    examples: int = option("N", "examples in the picture (8)", default=8)


def recipes(options: RecipesOptions) -> None:
    """List the recipes, or print one in the form that --set takes and what its networks cost."""
    if options.action is None:
        for name, recipe in RECIPES.items():
            print(f"{name:12} {(recipe.__doc__ or '').strip()}")
    elif options.name is None:
        raise ConfigError(f"recipes show: name one of {', '.join(RECIPES)}")
    else:
        from ced.training import train

        config = configure(options.name, settings=options.settings)
        print(f"images = {', '.join(config.images) or '(give --images)'}")
        print(f"test_images = {config.test_images or '(give --test-images)'}")
        values = dataclasses.asdict(config)
        print(*as_settings({section: values[section] for section in SECTIONS}), sep="\n")
        for model in NETWORKS.names:
            print(f"network of {model} = {train.size(model, config, config.classes.count)}")


def verify(options: VerifyOptions) -> None:
    """A line for each output and each finding. Raises FormatError, with the cure, where there are any."""
    folders = [Path(folder) for folder in options.folders]
    checked = verifying.verify(finished.find(folders))
    for output in checked:
        print(_line(output))
        for finding in output.findings:
            print(f"  {finding}")
    files = [folder / name for folder in folders for name in (client.DATABASE, "prefect/prefect.db")]
    databases = {file: sqlite.damage(file) for file in files if file.is_file()}
    for file, what in databases.items():
        print(f"{file}: {what or 'verified'}")
    damaged = [output for output in checked if output.findings]
    if broken := [str(file) for file, what in databases.items() if what]:
        also = f"; {len(damaged)} outputs are too: {verifying.cure(damaged)}" if damaged else ""
        raise FormatError(f"{broken[0]} is damaged; move it away, and the same command makes another one{also}")
    if damaged:
        raise FormatError(f"{len(damaged)} of {len(checked)} outputs damaged: {verifying.cure(damaged)}")


def show(options: ShowOptions) -> None:
    """Everything about the data, and a contact sheet."""
    if not 1 <= options.examples <= _MOST:
        raise ConfigError(f"--examples {options.examples}: use 1 to {_MOST}")
    data = showing.choose(Path(options.folder))
    out = Path(options.out)
    _check(out, data)
    counts = showing.balance(data)
    print(showing.text(data, counts))
    drawn = showing.sheet(data, options.examples, counts)
    if drawn is None:
        print("\nno examples in it, and so no contact sheet")
        return
    write_bytes(out, drawn)
    print(f"\ncontact sheet: {out.resolve()}")


def _check(out: Path, data: showing.Data) -> None:
    """Find out before the work whether the sheet can be written there. Raises OutputError."""
    if out.is_dir():
        raise OutputError(f"{out}: is a folder; name a PNG file such as {out / 'contact-sheet.png'}")
    if out.suffix.lower() != ".png":
        raise OutputError(f"{out}: a contact sheet is a PNG file; name it {out.with_suffix('.png')}")
    for output in data.values():
        if out.resolve().is_relative_to(output.path.resolve()):
            raise OutputError(f"{out}: lies inside an output, where it would count as an extra file; name another -o")


def _line(checked: verifying.Checked) -> str:
    manifest = checked.output.manifest
    facts = [f"{number:,} {name}" for name, number in list(manifest.counts.items())[:1]]
    facts += [_number(len(manifest.parts), "part"), terminal.size(checked.size)]
    count = _number(len(checked.findings), "finding")
    findings = f"{count} in {checked.output.path}" if checked.findings else "verified"
    return f"{manifest.stage} {manifest.fingerprint}: {', '.join([*facts, findings])}"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"

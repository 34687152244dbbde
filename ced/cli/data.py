"""`ced data verify` and `ced data show`: are outputs whole, and what is in them."""

import argparse
from pathlib import Path

from ced.data.inspect import show as showing
from ced.data.inspect import verify as verifying
from ced.errors import ConfigError, FormatError, OutputError
from ced.report import plain
from ced.store import finished
from ced.store.outputs import write_bytes

_MOST = 256  # examples on one sheet


def verify(arguments: argparse.Namespace) -> None:
    """A line for each output and each finding. Raises FormatError, with the cure, where there are any."""
    outputs = verifying.verify(finished.find([Path(folder) for folder in arguments.folders]))
    for checked in outputs:
        manifest, findings = checked.output.manifest, checked.findings
        facts = [f"{number:,} {name}" for name, number in list(manifest.counts.items())[:1]]
        facts += [_number(len(manifest.parts), "part"), plain.size(checked.size)]
        facts.append(f"{_number(len(findings), 'finding')} in {checked.output.path}" if findings else "verified")
        print(f"{manifest.stage} {manifest.fingerprint}: {', '.join(facts)}")
        for finding in findings:
            print(f"  {finding}")
    damaged = [checked for checked in outputs if checked.findings]
    if damaged:
        raise FormatError(f"{len(damaged)} of {len(outputs)} outputs damaged: {verifying.cure(damaged)}")


def show(arguments: argparse.Namespace) -> None:
    """Everything about the data, and a contact sheet. Where it cannot be written is found out before the work."""
    if not 1 <= arguments.examples <= _MOST:
        raise ConfigError(f"--examples {arguments.examples}: use 1 to {_MOST}")
    data, out = showing.choose(Path(arguments.folder)), Path(arguments.out)
    if out.is_dir():
        raise OutputError(f"{out}: is a folder; name a PNG file such as {out / 'contact-sheet.png'}")
    if out.suffix.lower() != ".png":
        raise OutputError(f"{out}: a contact sheet is a PNG file; name it {out.with_suffix('.png')}")
    for output in data.values():
        if out.resolve().is_relative_to(output.path.resolve()):
            raise OutputError(f"{out}: lies inside an output, where it would count as an extra file; name another -o")
    counts = showing.balance(data)
    print(showing.text(data, counts))
    drawn = showing.sheet(data, arguments.examples, counts)
    if drawn is None:
        print("\nno examples in it, and so no contact sheet")
        return
    write_bytes(out, drawn)
    print(f"\ncontact sheet: {out.resolve()}")


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"

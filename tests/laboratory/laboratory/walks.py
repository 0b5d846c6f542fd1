"""Which walks of the library each kernel has, and why not. Writes docs/walks-by-kernel.md."""

import json
import pathlib
import textwrap

from . import kernels, target
from .places import REPOSITORY, Trouble

PAGE = REPOSITORY / "docs/walks-by-kernel.md"
WIDTH = 140

HEAD = """# Walks by kernel

Made by `tests/laboratory/lab walks DIR …`: what `show walks` says on guests with these kernels of Debian: {releases}. All walks with their
columns are in [walks.md](walks.md).

"""


def on_guest(folder, programs):
    """The kernel's version and release, and the rows of `show walks`, by name."""
    folder = pathlib.Path(folder)
    if not (folder / "meta.json").exists():
        raise Trouble(f"{folder} holds no guest: make one with `lab boot`")
    meta = json.loads((folder / "meta.json").read_text())
    booted = kernels.prepare(meta["version"])
    flags = [*target.image_flags(folder), "--vmlinux", booted.vmlinux]
    answer = programs.query(flags, programs.profile_of(folder, booted), ["-e", "show walks"])
    if answer.status != 0 or not answer.rows:
        raise Trouble(f"{folder}: `show walks` ends with status {answer.status}: {answer.notes}")
    return meta.get("older", meta["version"]), meta["release"], {row["name"]: row for row in answer.rows}


def reason(row):
    """Why a walk cannot be walked, without its own name."""
    return row["available"].split(": ", 1)[-1].removesuffix(", which this kernel has not").replace("|", "\\|")


def write(folders, programs, output=PAGE):
    """Writes the page; returns a line for each kernel."""
    guests = [on_guest(folder, programs) for folder in folders]
    guests.sort(key=lambda guest: [int(part) for part in guest[0].split(".")])
    names = sorted({name for _, _, rows in guests for name in rows})
    everywhere = [name for name in names if all(rows.get(name, {}).get("available") == "yes" for _, _, rows in guests)]
    releases = (f"{release} in the layouts of {version}" * (not release.startswith(version)) or release for version, release, _ in guests)
    text = HEAD.format(releases=", ".join(releases))
    listed = f"On all of them, {len(everywhere)}: {', '.join(f'`{name}`' for name in everywhere)}."
    text += f"{textwrap.fill(listed, WIDTH)}\n\nNot on all of them:\n\n"
    text += "| walk | " + " | ".join(version for version, _, _ in guests) + " |\n|" + "---|" * (len(guests) + 1) + "\n"
    for name in names:
        if name not in everywhere:
            rows = [found[name] for _, _, found in guests]
            cells = ["yes" if row["available"] == "yes" else reason(row) for row in rows]
            text += f"| `{name}` | {' | '.join(cells)} |\n"
    output.write_text(text)
    return [f"{version}: {sum(row['available'] == 'yes' for row in rows.values())} of {len(rows)} walks" for version, _, rows in guests]

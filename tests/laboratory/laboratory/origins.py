"""Profiles from anything: what BTF, a vmlinuz alone and live memory alone give must be what DWARF gives, and must read the same rows.

What BTF cannot tell is written here and nowhere else: an array's dimensions are one product, and no elements are `[]` or `[0]`; which
of several types of one name is numbered how; whether `struct { … } a, b;` are of one type or of two that are alike, so anonymous types are
compared by what they are; enumerators beyond 32 bits before Linux 6.0.
"""

import collections
import json
import os
import pathlib
import re
import tempfile

from . import compare, kernels
from .places import Trouble, run
from .target import adapter, image_flags

SHOWN = 12
# The whole is compared where the profile comes from a file; live ones are the same bytes, so the process list is enough.
PROCESSES = [entity for entity in compare.ENTITIES if entity.name in ("tasks", "process-list")]


def make(programs, source, output, *options):
    """A profile, by nettlp-profile."""
    run(programs.folder / "nettlp-profile", source, *options, "-o", output)
    return output


def documents(path):
    """(types, symbols) of a profile: the lines of every type by its kind and name, the words of every symbol."""
    types, symbols = {}, {}
    for document in path.read_text().split("\n---\n")[1:]:
        head, *lines = [line for line in document.split("\n") if line.strip()]
        head = head.rstrip(":").strip("'\"")
        if head.startswith("symbols"):
            for line in lines:
                name, value = line[2:].split(": ", 1)
                symbols[name] = value.split(" ", 3)
        elif head in ("base", "typedefs"):
            for line in lines:
                name, value = re.match(r"  ('[^']*'|\"[^\"]*\"|[^:]+): (.*)", line).groups()
                types[head, name.strip("'\"")] = [value.split(" # ")[0]]
        else:
            types["document", head] = [line for line in lines if not line.startswith("  from:")]
    return types, symbols


def product(dimensions):
    """`[2][3]` as `[6]`; `[0]` as `[]`."""
    count = 1
    for length in re.findall(r"\[(\d*)\]", dimensions[0]):
        count *= int(length or 0)
    return f"[{count}]" if count else "[]"


class Comparable:
    """What BTF can tell of the types of a profile."""

    def __init__(self, types, small_enumerators):
        self.small_enumerators = small_enumerators
        self.bare = {(kind, re.sub(r"#\d+", "", name)): lines for (kind, name), lines in types.items()}

    def lines(self, lines, depth=0):
        """A type's lines, without what differs though it is the same."""
        found = []
        for line in lines:
            line = re.sub(r"(\[\d*\])+", product, re.sub(r"#\d+", "", line.replace("'", "").replace('"', "")))
            value = re.fullmatch(r"(    \w+: )(-?\d+)", line)
            if self.small_enumerators and value:
                line = f"{value[1]}{int(value[2]) & 0xffffffff}"
            if self.small_enumerators and line == "  signed: true":
                continue
            found.append(re.sub(r"\b(?:struct|union|enum) \([\w.]+\)", lambda match: self.contents(match[0], depth), line))
        return found

    def contents(self, name, depth):
        """An anonymous type, by what it is."""
        lines = self.bare.get(("document", name))
        if lines is None or depth > 8:
            return name.split(" ")[0]
        return f"{name.split(' ')[0]} {{{'; '.join(self.lines(lines, depth + 1))}}}"


def compare_profiles(dwarf, btf, release):
    """How many types both have, and a line for each that differs; the same of symbols."""
    (types, symbols), (other_types, other_symbols) = documents(dwarf), documents(btf)
    small = kernels.version_key(release) < kernels.version_key("6.0")
    ours, theirs = Comparable(types, small), Comparable(other_types, small)
    known = collections.defaultdict(list)
    for (kind, name), lines in types.items():
        known[kind, re.sub(r"#\d+", "", name)].append(ours.lines(lines))
    compared, differences = 0, []
    for (kind, name), lines in other_types.items():
        candidates = known.get((kind, re.sub(r"#\d+", "", name)))
        if candidates:
            compared += 1
            found = theirs.lines(lines)
            if found not in candidates:
                differences.append(f"{name}: {candidates[0]} by DWARF, {found} by BTF")
    shared = symbols.keys() & other_symbols.keys()
    differences += [f"{name}: at {symbols[name][0]} by DWARF, {other_symbols[name][0]} by BTF"
                    for name in sorted(shared) if symbols[name][0] != other_symbols[name][0]]
    return compared, len(shared), differences


def check(folder, programs):
    """Every check of one guest, as (what, good, detail)."""
    folder = pathlib.Path(folder)
    if not (folder / "meta.json").exists():
        raise Trouble(f"{folder} holds no guest: make one with `lab boot`")
    meta = json.loads((folder / "meta.json").read_text())
    kernel = kernels.Kernel(meta["version"], (folder / "kernel").resolve())
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        btf = make(programs, kernel.vmlinux, scratch / "btf.yaml", "--from", "btf")
        alone = make(programs, kernel.vmlinuz, scratch / "vmlinuz.yaml")
        for name, profile in (("btf", btf), ("vmlinuz", alone)):
            compared, symbols, differences = compare_profiles(programs.profile(kernel), profile, kernel.release)
            detail = f"{compared} types and {symbols} symbols compared with DWARF's, {len(differences)} differing"
            yield name, not differences, "\n    ".join([detail, *differences[:SHOWN]])
            yield name, *rows(folder, "image", programs, lambda _, profile=profile: profile, compare.ENTITIES)
        yield from live(folder, programs, scratch, alone)


def live(folder, programs, scratch, alone):
    """The memory alone, over UDP: the profile that is made of it, and the rows that nettlp-q reads without any."""
    cache = scratch / "cache"
    os.environ["XDG_CACHE_HOME"] = str(cache)
    try:
        with adapter(programs, folder) as flags:
            made = make_live(programs, flags, scratch / "live.yaml")
        same = made.read_bytes() == alone.read_bytes()
        yield "live", same, f"the profile of the memory alone has {'the same' if same else 'other'} bytes as that of vmlinuz"
        kept = [path.read_bytes() == made.read_bytes() for path in cache.glob("nettlp-q/profiles/*.yaml")]
        yield "live", kept == [True], f"{len(kept)} profile kept in the cache"
        for name in ("adapter", "image"):
            for path in cache.glob("nettlp-q/profiles/*.yaml"):
                path.unlink()
            yield "live", *rows(folder, name, programs, lambda _: None, PROCESSES)
    finally:
        del os.environ["XDG_CACHE_HOME"]


def make_live(programs, flags, output):
    """A profile of the memory behind some flags."""
    run(programs.folder / "nettlp-profile", "--live", *flags, "-o", output)
    return output


def rows(folder, name, programs, profile, entities):
    """Whether every row is the truth's, and how many there are."""
    results = compare.compare(folder, name, programs, profile, entities)
    differing = sum(result.differing for result in results)
    lines = [difference for result in results for difference in result.differences]
    detail = f"{sum(result.rows for result in results)} rows by {name}, {differing} differing"
    return differing == 0, "\n    ".join([detail, *lines[:SHOWN]])

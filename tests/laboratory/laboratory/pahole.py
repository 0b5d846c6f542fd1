"""A layout profile beside what pahole (package `dwarves`) says about the same vmlinux, from its DWARF or from its BTF.

Every struct and union that pahole prints: its size, and every member's offset, bit position, bit size and type name, those of anonymous
and of unnamed nested aggregates included. Where several types share a name, what pahole prints must equal one of ours. BTF is read in a
second and has every type of a name; DWARF takes ten times as long, and has the dimensions of arrays, of which pahole multiplies those in BTF.
"""

import dataclasses
import functools
import re
import subprocess

from .places import Trouble

SOURCES = ("btf", "dwarf")
SHOWN = 20

KEY = re.compile(r"^(struct|union|enum) (\S.*):$")


def load_profile(path):
    """Aggregates as {key: (size, {member: (bit offset, bit size, type)})}; the profile's own text form is enough here."""
    aggregates, key, members, size = {}, None, None, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if line == "---":
                key = None
            elif match := KEY.match(line):
                key = f"{match[1]} {match[2]}"
                members = {}
            elif key and line.startswith("  size: "):
                size = int(line.split()[1], 0)
                aggregates[key] = (size, members)
            elif key and line.startswith("    ") and not key.startswith("enum"):
                name, value = line.strip().split(": ", 1)
                place, ty = value.strip('"').split(" ", 1)
                numbers = place.split(":")
                bit = int(numbers[0], 0) * 8 + (int(numbers[1]) if len(numbers) > 1 else 0)
                members[name.strip('"')] = (bit, int(numbers[2]) if len(numbers) > 1 else 0, ty)
    return aggregates


def pahole_tops(vmlinux, source):
    """The top-level aggregates as lists of lines."""
    # What it says on stderr is about kinds of BTF that it does not know, thousands of lines: they are not layouts.
    out = subprocess.Popen(["pahole", "-F", source, vmlinux], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines = []
    for line in out.stdout:
        line = line.rstrip("\n")
        if not lines and re.match(r"^(struct|union) (\w+) \{", line):
            lines = [line]
        elif lines:
            lines.append(line)
            if line.startswith("}"):
                yield lines
                lines = []
    if out.wait():
        raise Trouble(f"`pahole -F {source} {vmlinux}` failed")


COMMENT = re.compile(r"/\*\s*(\d+)(?::\s*(\d+))?\s+(\d+)\s*\*/\s*$")


def without_attributes(text):
    """Drops __attribute__((...)), whose parentheses nest."""
    while (start := text.find("__attribute__")) >= 0:
        depth, end = 0, start + len("__attribute__")
        while end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
            if depth == 0:
                break
        text = text[:start] + text[end:]
    return text


def split_declaration(text):
    """`int (*fn)(void)` → name, type without it, bit size."""
    text = without_attributes(text).strip().rstrip(";").strip()
    bits = 0
    if match := re.search(r"(?<=\w):(\d+)$", text):
        bits = int(match[1])
        text = text[: match.start()]
    function = re.search(r"\(\s*\*+\s*(?:const\s+|volatile\s+)*(\w+)", text)
    if function and (name := function):
        span = name.span(1)
    else:
        bare = re.sub(r"(\[[^\]]*\])+$", lambda found: " " * len(found[0]), text)
        last = list(re.finditer(r"\w+", bare))[-1]
        span = last.span()
    return text[span[0] : span[1]], text[: span[0]] + text[span[1] :], bits


@functools.cache
def normal(ty):
    """One spelling: no qualifiers, no optional spaces. pahole chooses between `[]` and `[0]` by the member's place instead of by how it
    was declared, and drops the array behind a pointer to one."""
    ty = re.sub(r"\b(const|volatile|restrict|_Atomic)\b", " ", ty)
    ty = re.sub(r"#\d+", "", ty)
    ty = re.sub(r"\s+", " ", ty)
    ty = re.sub(r" ?([*()\[\],]) ?", r"\1", ty).strip()
    ty = re.sub(r"\(\*\)(\[\d*\])+$", "*", ty)
    return re.sub(r"\[0\]$", "[]", ty)


def multiplied(ty):
    """An array of arrays as one array, as pahole shows those of BTF."""
    def product(dimensions):
        sizes = [int(size) for size in re.findall(r"\[(\d+)\]", dimensions[0])]
        return f"[{functools.reduce(lambda a, b: a * b, sizes)}]"

    return normal(re.sub(r"(\[\d+\]){2,}", product, ty))


class Members:
    """pahole's lines of one aggregate, as (path, bit offset, bit size, type)."""

    def __init__(self, lines):
        self.lines, self.at = lines, 1
        # (path, bit offset, bit size, type; None for a type without a name)
        self.found = []
        # Named types without a member's name (-fms-extensions): type and bit offset.
        self.unnamed = []
        self.block((), 0)

    def block(self, path, base):
        """Members up to the closing brace; `path` names the unnamed nested aggregates around."""
        mine = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            code = line.split("/*")[0].strip() if not COMMENT.search(line) else COMMENT.sub("", line).strip()
            if code.startswith("}"):
                return mine, line
            if re.match(r"^(const |volatile )*(struct|union)( \w+)? \{", code):
                start = len(self.found)
                _, closing = self.block(path, base)
                tail = COMMENT.sub("", closing).strip().lstrip("}").rstrip(";").strip()
                tail = without_attributes(tail).strip()
                if tail:
                    name = re.match(r"\**\s*(?:const )?(\w+)|\(\*+(\w+)", tail)
                    name = name[1] or name[2]
                    place = COMMENT.search(closing)
                    inner = self.found[start:]
                    self.found[start:] = [((name,) + path_, *rest) for path_, *rest in inner]
                    if place:
                        self.found.append(((name,), int(place[1]) * 8, 0, None))
                continue
            if re.match(r"^(const |volatile )*enum( \w+)? \{", code):
                while not self.lines[self.at].strip().startswith("}"):
                    self.at += 1
                closing = self.lines[self.at]
                self.at += 1
                tail = COMMENT.sub("", closing).strip().lstrip("}").strip()
                self.member(tail, closing, ty=None)
                continue
            if code.endswith(";"):
                self.member(code, line)
        return mine, ""

    def member(self, code, line, ty=""):
        place = COMMENT.search(line)
        if not place or re.search(r"\s:\d+;", " " + code):
            return
        if ty == "" and (unnamed := re.match(r"^(?:const |volatile )*((?:struct|union) \w+|\w+)\s*;$", without_attributes(code))):
            self.unnamed.append((unnamed[1], int(place[1]) * 8))
            return
        name, found, bits = split_declaration(code if ty == "" else "enum_ " + code)
        bit = int(place[1]) * 8 + (int(place[2]) if place[2] else 0)
        self.found.append(((name,), bit, bits, normal(found) if ty == "" else None))


def follow(aggregates, key, path):
    """The member at a path of names through unnamed aggregates, with its bit offset from the start of `key`."""
    base, (size, members) = 0, aggregates[key]
    for step, name in enumerate(path):
        if name not in members:
            return None
        bit, bits, ty = members[name]
        if step + 1 == len(path):
            return base + bit, bits, ty
        base += bit
        inner = re.sub(r"(\s*\*+)?(\[\d*\])*$", "", ty)
        if "*" in ty:
            base = 0
        if inner not in aggregates:
            return None
        size, members = aggregates[inner]
    return None


def members_of(aggregates, name):
    """The members of `struct foo`, or of the struct behind a typedef."""
    for key in (name, f"struct ({name})", f"union ({name})"):
        if key in aggregates:
            return aggregates[key][1]
    return {}


def compare_type(aggregates, key, lines, source):
    """Differences of one aggregate from one of ours, and how many members were compared."""
    told, spelled = Members(lines), multiplied if source == "btf" else normal
    # The last one: nested types that pahole does not look through have their own before it.
    size = next((int(m[1]) for line in reversed(lines) if (m := re.search(r"/\* size: (\d+)", line))), None)
    differences, compared = [], 0
    if size is not None and size != aggregates[key][0]:
        differences.append(f"{key}: size {aggregates[key][0]}, pahole {size}")
    for path, bit, bits, ty in told.found:
        ours = follow(aggregates, key, path)
        compared += 1
        if ours is None:
            differences.append(f"{key}: no member {'.'.join(path)}")
        elif ours[0] != bit or ours[1] != bits:
            differences.append(f"{key}.{'.'.join(path)}: at bit {ours[0]} size {ours[1]}, pahole {bit} size {bits}")
        elif ty is not None and spelled(ours[2]) != spelled(ty):
            differences.append(f"{key}.{'.'.join(path)}: type {normal(ours[2])}, pahole {ty}")
    top = {path[0] for path, *_ in told.found}
    for inner, base in told.unnamed:
        # Their members are ours; the inner type is compared on its own.
        for name, (bit, bits, ty) in members_of(aggregates, inner).items():
            compared += 1
            top.add(name)
            if aggregates[key][1].get(name) != (base + bit, bits, ty):
                differences.append(f"{key}: member {name} of unnamed {inner} is not at bit {base + bit}")
    for name in aggregates[key][1]:
        compared += name not in top
        if name not in top:
            differences.append(f"{key}: member {name} is not in pahole's output")
    return differences, compared


@dataclasses.dataclass
class Result:
    """What a comparison has found."""

    types: int = 0
    members: int = 0
    differing: list = dataclasses.field(default_factory=list)  # a list of lines for each type that differs

    def good(self):
        """Whether there was something to compare and nothing differs."""
        return self.members > 0 and not self.differing

    def line(self):
        """All of it in a line."""
        differences = sum(map(len, self.differing))
        return f"{self.types} types and {self.members} members compared, {len(self.differing)} types differ ({differences} differences)"

    def details(self):
        """The first differences."""
        return [line for lines in self.differing[:SHOWN] for line in lines[:5]]


def compare(vmlinux, profile, source):
    """Compares a whole profile with what pahole makes of a vmlinux."""
    aggregates, result = load_profile(profile), Result()
    for lines in pahole_tops(vmlinux, source):
        key = " ".join(lines[0].split()[:2])
        result.types += 1
        numbered = (f"{key}#{number}" for number in range(2, 100))
        candidates = [name for name in (key, *numbered) if name in aggregates]
        if not candidates:
            result.differing.append([f"{key}: not in the profile"])
            continue
        best = min((compare_type(aggregates, name, lines, source) for name in candidates), key=lambda found: len(found[0]))
        result.members += best[1]
        if best[0]:
            result.differing.append(best[0])
    return result

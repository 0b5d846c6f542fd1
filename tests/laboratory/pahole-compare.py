#!/usr/bin/env python3
"""Compare a layout profile with what pahole says about the same vmlinux.

    pahole-compare.py VMLINUX PROFILE.yaml [--show N]

Every struct and union that pahole prints: its size, and every member's offset, bit position, bit size and type, those of anonymous
and of unnamed nested aggregates included. Where several types share a name pahole prints one of them; it must equal one of ours.
Exit status 0 if nothing differs.
"""

import argparse
import re
import subprocess
import sys

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


def pahole_tops(vmlinux):
    """The top-level aggregates as lists of lines."""
    out = subprocess.Popen(["pahole", "-F", "dwarf", vmlinux], stdout=subprocess.PIPE, text=True)
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
        sys.exit("pahole failed")


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


def normal(ty):
    """One spelling: no qualifiers, no optional spaces. pahole chooses between `[]` and `[0]` by the member's place instead of by how it
    was declared, and drops the array behind a pointer to one."""
    ty = re.sub(r"\b(const|volatile|restrict|_Atomic)\b", " ", ty)
    ty = re.sub(r"#\d+", "", ty)
    ty = re.sub(r"\s+", " ", ty)
    ty = re.sub(r" ?([*()\[\],]) ?", r"\1", ty).strip()
    ty = re.sub(r"\(\*\)(\[\d*\])+$", "*", ty)
    return re.sub(r"\[0\]$", "[]", ty)


class Members:
    """pahole's lines of one aggregate, as (path, bit offset, bit size, type)."""

    def __init__(self, lines):
        self.lines, self.at = lines, 1
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


def compare(aggregates, key, lines):
    """Differences of one aggregate from one of ours, and how many members were compared."""
    told = Members(lines)
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
        elif ty is not None and normal(ours[2]) != ty:
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


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("vmlinux")
    arguments.add_argument("profile")
    arguments.add_argument("--show", type=int, default=20, help="differences that are printed")
    options = arguments.parse_args()
    aggregates = load_profile(options.profile)
    types = members = 0
    differing = []
    for lines in pahole_tops(options.vmlinux):
        key = " ".join(lines[0].split()[:2])
        types += 1
        candidates = [name for name in aggregates if name == key] + [
            f"{key}#{number}" for number in range(2, 100) if f"{key}#{number}" in aggregates
        ]
        if not candidates:
            differing.append([f"{key}: not in the profile"])
            continue
        results = [compare(aggregates, name, lines) for name in candidates]
        best = min(results, key=lambda result: len(result[0]))
        members += best[1]
        if best[0]:
            differing.append(best[0])
    for differences in differing[: options.show]:
        print("\n".join(differences[:5]))
    print(f"{types} types and {members} members compared, {len(differing)} types differ ({sum(map(len, differing))} differences)")
    return 1 if differing or not members else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the matrix compared, by entity and kernel. Writes docs/compared.json and, from it, docs/compared.md."""

import json

from .places import REPOSITORY

DATA = REPOSITORY / "docs/compared.json"
PAGE = REPOSITORY / "docs/compared.md"
BY_DRGN = "operators, functions and traversals beside drgn"

HEAD = """# What was compared

Made by `tests/laboratory/lab run`: for every entity and kernel, how many rows of what the guest said (`/proc`, `/sys`, drgn on a core) were
compared with what nettlp-q read, summed over all guests and all ways of reading them (RAM file, ELF core, adapter over UDP, adapter with
faults, recording); a number in parentheses says how many rows differed. A dash: the guest had nothing of it, or it was not compared.
4.19 and 5.4 were not booted: they are a guest of 5.10 whose memory and profile were rewritten into their layouts (`lab older`).

"""


class Tally:
    """Rows compared and differing, by version of the kernel and entity."""

    def __init__(self):
        self.kernels = {}

    def add(self, version, release, results):
        """Notes what one guest by one way gave: objects with `entity`, `rows` and `differing`."""
        kernel = self.kernels.setdefault(version, {"release": release, "comparisons": 0, "entities": {}})
        kernel["comparisons"] += 1
        for result in results:
            self.count(kernel, result.entity, result.rows, result.differing)

    def add_language(self, version, compared, differing):
        """Notes what drgn was asked on a kernel whose guests are known already."""
        if version in self.kernels:
            self.count(self.kernels[version], BY_DRGN, compared, differing)

    @staticmethod
    def count(kernel, entity, rows, differing):
        """Adds to one cell."""
        before = kernel["entities"].get(entity, [0, 0])
        kernel["entities"][entity] = [before[0] + rows, before[1] + differing]

    def write(self, data=DATA, page=PAGE):
        """Replaces the kernels of this run in the data, keeps the others, and draws the page anew."""
        if not self.kernels:
            return
        known = json.loads(data.read_text()) if data.exists() else {}
        known.update(self.kernels)
        data.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        page.write_text(drawn(known))


def in_order(known):
    """Versions as numbers go."""
    return sorted(known, key=lambda version: [int(part) for part in version.split(".")])


def cell(counts):
    """Rows, and how many of them differed."""
    rows, differing = counts
    if not rows and not differing:
        return "–"
    return f"{rows:,}".replace(",", " ") + (f" ({differing} differ)" if differing else "")


def drawn(known):
    """The page."""
    versions = in_order(known)
    kernels = ", ".join(f"{known[version]['release']} ({known[version]['comparisons']} comparisons)" for version in versions)
    text = f"{HEAD}Kernels: {kernels}.\n\n| entity | {' | '.join(versions)} |\n|{'---|' * (len(versions) + 1)}\n"
    entities = sorted({entity for kernel in known.values() for entity in kernel["entities"]}, key=lambda name: (name == BY_DRGN, name))
    for entity in entities:
        cells = [cell(known[version]["entities"].get(entity, [0, 0])) for version in versions]
        text += f"| {entity} | {' | '.join(cells)} |\n"
    return text

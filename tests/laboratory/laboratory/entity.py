"""What is compared: a query, and the truth that its rows must equal."""

import dataclasses

from .places import REPOSITORY


@dataclasses.dataclass
class Entity:
    """A query (or the path of an example, or what gives one for a truth), and the truth that it must equal; the order of rows too if `ordered`."""

    name: str
    query: object
    key: tuple
    columns: tuple
    expected: object
    ordered: bool = False
    # Columns that go on counting after the truth was told: how far below and above it a number may be.
    near: dict = dataclasses.field(default_factory=dict)
    # Makes of a row that was found those that it stands for.
    unfold: object = None
    # Gives the columns that the kernel may have changed together after the truth was told, of the truth's row and the row that was found.
    later: object = None

    def words(self, truth):
        """What nettlp-q is asked with; a query may depend on what the truth was told of."""
        query = self.query(truth) if callable(self.query) else self.query
        return ["-f", str(REPOSITORY / query)] if query.endswith(".nq") else ["-e", query]

    def without(self, lacks):
        """The entity on a kernel that lacks some: itself, or None, or with columns that are null. `lacks`: None or such columns, by name."""
        if self.name not in lacks:
            return self
        columns = lacks[self.name]
        return columns and dataclasses.replace(self, expected=lambda truth: [row | dict.fromkeys(columns) for row in self.expected(truth)])

    def differs(self, column, expected, found):
        """Whether a cell is another one than the truth's."""
        if column in self.near and expected is not None and found is not None:
            below, above = self.near[column]
            return not expected - below <= found <= expected + above
        return expected != found


def text(raw):
    """Bytes as nettlp-q writes them in JSON: what is not UTF-8 becomes `\\xNN`."""
    return raw.decode("utf-8", errors="backslashreplace")

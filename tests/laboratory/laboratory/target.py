"""Ways to a guest's memory, as nettlp-q's target flags: an image, a core, the adapter, a recording."""

import contextlib
import json
import os
import pathlib
import select
import subprocess
import tempfile
import time

from .places import REPOSITORY, Trouble, run

ADAPTER, REQUESTER, REQUESTER_ID = "127.0.0.2", "127.0.0.1", "1b:00"
FAULTS = ["--drop", "5%", "--duplicate", "5%", "--reorder", "10%", "--seed", "20"]
WAYS = ["image", "core", "adapter", "faults", "replay"]


class Answer:
    """What one run of nettlp-q said."""

    def __init__(self, status, rows, stats, notes):
        self.status = status
        self.rows = rows
        self.stats = stats
        self.notes = notes


class Programs:
    """The programs under test."""

    def __init__(self, folder=None):
        self.folder = pathlib.Path(folder) if folder else REPOSITORY / "target/release"
        for name in ("nettlp-q", "nettlp-profile", "nettlp-adapter"):
            if not (self.folder / name).exists():
                raise Trouble(f"{self.folder / name} is missing: run `cargo build --release` first")

    def profile(self, kernel):
        """The kernel's profile in the cache, made anew unless this very nettlp-profile made it."""
        made, maker = kernel.profile, (self.folder / "nettlp-profile").resolve()
        note, facts = made.with_suffix(".made-by"), maker.stat()
        mark = f"{maker} {facts.st_size} {facts.st_mtime_ns}\n"
        if not made.exists() or not note.exists() or note.read_text() != mark:
            unfinished = made.with_suffix(f".{os.getpid()}")
            note.unlink(missing_ok=True)
            run(maker, kernel.vmlinux, "-o", unfinished)
            unfinished.rename(made)
            note.write_text(mark)
        return made

    def profile_of(self, folder, kernel):
        """The profile for a guest: the one in its folder, if it has its own, else its kernel's."""
        own = pathlib.Path(folder) / "profile.yaml"
        return own if own.exists() else self.profile(kernel)

    def query(self, flags, profile, words, output="ndjson", timeout=300):
        """Runs nettlp-q; rows are its standard output, one JSON object a line. Without a profile it has to make its own."""
        named = ["-p", profile] if profile else []
        command = [self.folder / "nettlp-q", *flags, *named, "-o", output, "--stats=json", *words]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return Answer(-1, [], {}, f"no end after {timeout} s")
        notes = done.stderr.decode(errors="replace")
        stats = {}
        for line in notes.splitlines():
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    stats = json.loads(line)
        lines = done.stdout.splitlines() if output == "ndjson" else []
        try:
            rows = [json.loads(line) for line in lines]
        except ValueError as error:
            return Answer(-1, [], stats, f"standard output is not NDJSON: {error}\n{notes}")
        return Answer(done.returncode, rows if output == "ndjson" else done.stdout, stats, notes)


def image_flags(folder):
    """The flags that read the guest's RAM file."""
    return ["--image", str(folder / "ram"), "--image-map", (folder / "image-map").read_text().strip()]


@contextlib.contextmanager
def adapter(programs, folder, faults=()):
    """A software adapter that serves the guest's RAM file while the block runs; gives the flags that reach it."""
    command = [programs.folder / "nettlp-adapter", "--listen", ADAPTER, *image_flags(folder), *faults]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        try:
            wait_for_ready(process, log)
            yield ["-r", ADAPTER, "-l", REQUESTER, "-b", REQUESTER_ID]
        finally:
            process.terminate()
            process.stdout.close()
            process.wait(20)


def wait_for_ready(process, log):
    """Waits for the adapter's line `ready`."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.2)[0]:
            line = process.stdout.readline()
            if line.strip().startswith(b"ready"):
                return
            if not line:
                break
    log.seek(0)
    raise Trouble(f"nettlp-adapter does not become ready: {log.read().decode(errors='replace').strip()}")


@contextlib.contextmanager
def way(name, programs, folder):
    """One of WAYS, as a function from a profile and the words of a query to an Answer."""
    if name == "adapter" or name == "faults":
        with adapter(programs, folder, FAULTS if name == "faults" else ()) as flags:
            yield lambda profile, words: programs.query(flags, profile, words)
    elif name == "replay":
        with tempfile.TemporaryDirectory() as scratch:
            yield lambda profile, words: replayed(programs, folder, pathlib.Path(scratch), profile, words)
    elif name == "core":
        if not (folder / "core.elf").exists():
            raise Trouble(f"{folder} has no core.elf: boot it with --core")
        yield lambda profile, words: programs.query(["--image", str(folder / "core.elf")], profile, words)
    elif name == "image":
        yield lambda profile, words: programs.query(image_flags(folder), profile, words)
    else:
        raise Trouble(f"`{name}` is not a way to a guest's memory: one of {', '.join(WAYS)}")


def replayed(programs, folder, scratch, profile, words):
    """Asks the image while recording, then the recording; the answer is the recording's."""
    recording = scratch / "recording"
    recording.unlink(missing_ok=True)
    first = programs.query([*image_flags(folder), "--record", str(recording)], profile, words)
    if first.status != 0:
        return first
    return programs.query(["--replay", str(recording)], profile, words)

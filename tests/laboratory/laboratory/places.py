"""Where the laboratory keeps things, and how it talks to the person who runs it."""

import os
import pathlib
import subprocess
import sys
import time

LABORATORY = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = LABORATORY.parent.parent
GUEST = LABORATORY / "guest"
STARTED = time.monotonic()


class Trouble(Exception):
    """Something that the person who runs the laboratory must know; printed without a traceback."""


def cache():
    """The folder of everything downloaded or generated: $NETTLP_LABORATORY, or laboratory-cache/ in the repository."""
    folder = pathlib.Path(os.environ.get("NETTLP_LABORATORY") or REPOSITORY / "laboratory-cache")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def say(text):
    """One line of progress on stderr, with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:6.1f}s] {text}", file=sys.stderr, flush=True)


def run(*command, **options):
    """Runs a command to its end and returns its standard output as bytes; its stderr is part of the error."""
    words = [str(word) for word in command]
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace").strip().splitlines()[-12:]
        raise Trouble(f"`{' '.join(words)}` ended with status {done.returncode}\n  " + "\n  ".join(tail))
    return done.stdout

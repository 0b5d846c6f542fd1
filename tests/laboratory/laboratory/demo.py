"""The demo that ships with nettlp-q: a guest that looks like a small web server, recorded while the examples run."""

import pathlib
import shutil
import tempfile

from . import boot, target
from .kernels import Kernel
from .places import REPOSITORY, Trouble, cache, run, say

VERSION = "6.12"
RECORDING = REPOSITORY / "src/session/demo/recording"
PROFILE = REPOSITORY / "src/session/demo/profile.yaml.zst"
EXAMPLES = REPOSITORY / "examples"
TOUR = REPOSITORY / "tests/laboratory/tour.nq"
LIMIT = 4 << 20
FRAME = 1 << 20


def boot_demo(version, folder):
    """Boots the demo's guest: as on most hardware of its day, with four-level page tables and KASLR."""
    return boot.boot(boot.Plan(version, levels=4, demo=True), folder)


# The kernel's whole table of symbols would make the recording more than twice as large, and each start of the demo longer.
BEYOND = ["kallsyms"]


def record(programs, version=VERSION, examples=EXAMPLES, recording=RECORDING, profile=PROFILE, types=()):
    """Makes the shipped recording and profile again.

    All examples, those of the functions, and a tour of what newcomers try, run as one script while nettlp-q records what they read, so the
    recording holds the blocks that any of them touches, once. `types` limits the profile to these types and what they refer to; all if empty.
    """
    scripts = sorted(script for script in pathlib.Path(examples).glob("*.nq") if script.stem not in BEYOND)
    if not scripts:
        raise Trouble(f"{examples} holds no examples")
    with tempfile.TemporaryDirectory(prefix="demo-", dir=cache()) as name:
        scratch = pathlib.Path(name)
        meta = boot_demo(version, scratch / "guest")
        kernel = Kernel(version, (scratch / "guest/kernel").resolve())
        small = make_profile(programs, kernel, scratch / "profile.yaml", types)
        together = scratch / "all.nq"
        image = target.image_flags(scratch / "guest")
        calls = function_examples(programs, image, small)
        together.write_text("".join(f"{script.read_text()}\n" for script in [*scripts, TOUR]) + calls)
        flags = [*image, "--record", str(scratch / "recording")]
        answer = programs.query(flags, small, ["-f", str(together)], output="json")
        # 1 is a check that found something: the demo's guest has writable code.
        if answer.status not in (0, 1, 3):
            raise Trouble(f"the examples end with status {answer.status}\n{answer.notes}")
        size = (scratch / "recording").stat().st_size
        if size > LIMIT:
            raise Trouble(f"the recording has {size} bytes; {LIMIT} may be shipped")
        if pathlib.Path(profile).suffix == ".zst":
            small = pack(small)
        for made, place in ((scratch / "recording", recording), (small, profile)):
            pathlib.Path(place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made, place)
        say(f"{meta['release']}: {len(scripts)} examples, {size} bytes of recording, {pathlib.Path(profile).stat().st_size} of profile")


def function_examples(programs, image, profile):
    """The examples of all functions as queries about the first process, a line each."""
    functions = programs.query(image, profile, ["-e", "show functions"]).rows
    examples = [function["example"] for function in functions]
    # Those of aggregates are whole queries.
    return "".join(f"{'' if example.startswith('walk ') else 'walk tasks where pid = 1 select '}{example}\n" for example in examples)


def pack(path):
    """Packs a file as zstd frames of 1 MiB each, which nettlp-q unpacks on all processors; `zstd -d` takes them too."""
    packed = pathlib.Path(f"{path}.zst")
    with open(path, "rb") as file, open(packed, "wb") as out:
        while part := file.read(FRAME):
            out.write(run("zstd", "-q", "-19", "--no-check", f"--stream-size={len(part)}", "-c", input=part))
    return packed


def make_profile(programs, kernel, path, types):
    """The layout profile to ship: of these types, or the whole one."""
    run(programs.folder / "nettlp-profile", kernel.vmlinux, "-o", path, *(["--types", ",".join(types)] if types else []))
    return path

"""The laboratory's own tests: what it reads out of /proc's formats, and that a difference is found."""

import json
import pathlib
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from laboratory import (  # noqa: E402
    bench, boot, compare, compared, figure, kernel_entities, kernels, layouts, machine, predictions, scripts, tamper, truth)
from laboratory.entity import Entity  # noqa: E402
from laboratory.places import Trouble  # noqa: E402
from laboratory.target import Answer  # noqa: E402

STAT = b"7 () R 1 2 3) S 1 7 7 0 -1 4194304 50 0 0 0 0 0 0 0 20 0 3 0 120 0 0\n"
STATUS = b"Name:\t) R 1 2 3\nTgid:\t7\nUid:\t1000\t1001\t1002\t1001\nGid:\t5\t5\t5\t5\n"
MAPS = (b"00010000-00011000 r--p 00000000 00:00 0 \n"
        b"7f0000000000-7f0000002000 rw-s 00001000 00:1b 12                         /tmp/a file\\012 (deleted)\n"
        b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n")
MODULES = b"stp 16384 2 bridge,garp, Live 0xffffffffc0300000 (E)\nfuse 176128 1 - Live 0xffffffffc0400000\n"


def record(kind, path, content):
    """One record as the guest writes it."""
    return b"@ %s %d %s\n%s\n" % (kind, len(content), path.encode(), content)


def guest_records():
    """The records of a guest with one process."""
    return b"".join([
        record(b"F", "/proc/7/stat", STAT), record(b"F", "/proc/7/comm", b") R 1 2 3\xff\n"), record(b"F", "/proc/7/status", STATUS),
        record(b"F", "/proc/7/maps", MAPS), record(b"L", "/proc/7/fd/3", b"/tmp/line\nbreak"),
        record(b"F", "/proc/7/task/7/stat", STAT.replace(b") S", b") D")), record(b"F", "/proc/7/task/7/comm", b") R 1 2 3\xff\n"),
        record(b"F", "/proc/modules", MODULES), record(b"F", "/proc/iomem", b"00000000-00000fff : Reserved\n"),
    ])


class TruthTest(unittest.TestCase):
    """Parsing."""

    def setUp(self):
        self.rows, _ = truth.entities(guest_records())

    def test_a_name_with_parentheses_does_not_shift_the_fields(self):
        row = self.rows["tasks"][0]
        self.assertEqual((row["pid"], row["ppid"], row["nr_threads"], row["uid"], row["euid"]), (7, 1, 3, 1000, 1001))
        self.assertEqual((row["comm"], row["comm_hex"]), (") R 1 2 3\\xff", b") R 1 2 3\xff".hex()))

    def test_the_state_of_the_last_sweep_counts(self):
        self.assertEqual(self.rows["tasks"][0]["state"], "D")

    def test_maps_lose_their_escapes(self):
        self.assertEqual([row["path"] for row in self.rows["vmas"]], [None, "/tmp/a file\n (deleted)", "[vsyscall]"])
        self.assertEqual(self.rows["vmas"][1]["offset"], 0x1000)

    def test_links_keep_every_byte(self):
        self.assertEqual(self.rows["files"][0]["path"], "/tmp/line\nbreak")

    def test_modules(self):
        self.assertEqual([row["used_by"] for row in self.rows["modules"]], [["bridge", "garp"], []])
        self.assertEqual([row["taints"] for row in self.rows["modules"]], ["E", ""])

    def test_addresses_are_in_the_machines_byte_order(self):
        self.assertEqual(truth.address(b"0100007F:1B59"), ("127.0.0.1", 7001))
        self.assertEqual(truth.address(b"00000000000000000000000001000000:1B5A"), ("::1", 7002))


class CompareTest(unittest.TestCase):
    """Every kind of difference is found."""

    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        folder = pathlib.Path(self.scratch.name)
        (folder / "truth").mkdir()
        rows = [self.task(1, "init", "S", False), self.task(2, "kworker/0:1-events", "I", True)]
        (folder / "truth/tasks.json").write_text(json.dumps(rows))
        self.truth = compare.Truth(folder)

    @staticmethod
    def task(pid, name, state, kthread):
        """A row of the truth."""
        return {"pid": pid, "tgid": pid, "ppid": 0, "state": state, "uid": 0, "nr_threads": 1, "kthread": kthread,
                "comm": name, "comm_hex": name.encode().hex()}

    @staticmethod
    def rows():
        """What nettlp-q says when all is well."""
        common = {"ppid": 0, "uid": 0, "nr_threads": 1}
        return [{"pid": 0, "tgid": 0, "comm": "swapper/0", "state": "R", **common},
                {"pid": 1, "tgid": 1, "comm": "init", "state": "S", **common},
                {"pid": 2, "tgid": 2, "comm": "kworker/0:1", "state": "I", **common}]

    def result(self, rows, status=0):
        """The comparison of tasks."""
        return compare.compare_rows(compare.ENTITIES[0], self.truth, Answer(status, rows, {}, "notes"))

    def test_equal_rows_do_not_differ(self):
        result = self.result(self.rows())
        self.assertEqual((result.rows, result.differing, result.woken), (2, 0, 0))

    def test_each_difference_counts(self):
        changes = {
            "a wrong name": lambda rows: rows[1].update(comm="imit"), "a wrong owner": lambda rows: rows[1].update(uid=1),
            "a sleeping process found running": lambda rows: rows[1].update(state="R"),
            "a kernel thread in a wrong state": lambda rows: rows[2].update(state="S"),
            "a missing column": lambda rows: rows[1].pop("tgid"), "a missing row": lambda rows: rows.pop(),
            "one row too many": lambda rows: rows.append({**rows[1], "pid": 3}), "a row twice": lambda rows: rows.append(rows[1]),
        }
        for name, change in changes.items():
            rows = self.rows()
            change(rows)
            with self.subTest(name):
                self.assertEqual(self.result(rows).differing, 1)

    def test_a_failed_query_is_a_difference(self):
        self.assertEqual(self.result(self.rows(), status=3).differing, 1)

    def test_a_woken_kernel_thread_is_counted_apart(self):
        rows = self.rows()
        rows[2]["state"] = "R"
        result = self.result(rows)
        self.assertEqual((result.differing, result.woken), (0, 1))


class LoadTest(unittest.TestCase):
    """Load averages that the kernel computes every five seconds, between the truth and the end of the guest too."""

    def later(self, told, found):
        names = ("load1", "load5", "load15")
        return kernel_entities.load_later({**dict(zip(names, told)), "processes": 60}, dict(zip(names, found)))

    def test_one_more_computation_is_no_difference(self):
        self.assertEqual(self.later(("0.08", "0.02", "0.01"), ("0.39", "0.08", "0.03")), ("load1", "load5", "load15"))
        self.assertEqual(self.later(("0.50", "0.20", "0.05"), ("0.46", "0.20", "0.05")), ("load1", "load5", "load15"))

    def test_what_no_number_of_tasks_explains_is_one(self):
        self.assertEqual(self.later(("0.08", "0.02", "0.01"), ("0.39", "0.02", "0.01")), ())
        self.assertEqual(self.later(("0.08", "0.02", "0.01"), ("0.35", "0.08", "0.03")), ())


class NameTest(unittest.TestCase):
    """What /proc appends to the names of kernel threads."""

    def test_names_of_kernel_threads(self):
        told = {"kworker/0:1-events": "kworker/0:1", "kworker/u4:0+flush-8:0": "kworker/u4:0", "kworker/0:0H": "kworker/0:0H",
                "kworker/R-kvfree_rcu_reclaim": "kworker/R-kvfre", "rcu_tasks_kthread": "rcu_tasks_kthre", "kswapd0": "kswapd0"}
        for name, expected in told.items():
            row = {"comm_hex": name.encode().hex()}
            self.assertEqual(compare.task_names(row, True), expected.encode())
        self.assertEqual(compare.task_names({"comm_hex": b"kworker/0:3-eve".hex()}, False), b"kworker/0:3-eve")


class OrderTest(unittest.TestCase):
    """Depth first, children of any thread, in the kernel's order."""

    def test_preorder(self):
        class Told:
            """A truth of five processes."""

            @staticmethod
            def rows(_):
                """Rows of tasks."""
                children = {1: {"1": [5, 4], "10": [3]}, 2: {"2": []}, 3: {"3": []}, 4: {"4": []}, 5: {"5": []}}
                return [{"pid": pid, "ppid": 0 if pid < 3 else 1, "children": children[pid]} for pid in range(1, 6)]

        self.assertEqual([(row["pid"], depth) for row, depth in compare.preorder(Told)], [(1, 1), (5, 2), (4, 2), (3, 2), (2, 1)])


class MachineTest(unittest.TestCase):
    """Facts about QEMU's machine and Debian's names."""

    def test_memory_below_and_above_the_hole(self):
        self.assertEqual(machine.image_map(machine.bytes_of("256M")), "0x0-0x10000000@0x0")
        self.assertEqual(machine.image_map(machine.bytes_of("5G")), "0x0-0xc0000000@0x0,0x100000000-0x180000000@0xc0000000")

    def test_versions_match_in_whole_numbers(self):
        self.assertTrue(kernels.matches("6.1.0-56-cloud-amd64", "6.1"))
        self.assertFalse(kernels.matches("6.12.117+deb12-cloud-amd64", "6.1"))


class StoppingGuest:
    """A guest that finishes its records and stops between two questions: when it is asked for its state, it has stopped."""

    def __init__(self, folder):
        self.folder = folder

    def check(self):
        """Nothing is wrong with it."""

    def status(self):
        """Finishes, and says so."""
        (self.folder / "truth.records").write_bytes(boot.HEADER.pack(boot.MAGIC, 1, 5, 2, 1, 77))
        return "guest-panicked"


class BootTest(unittest.TestCase):
    """Waiting for a guest."""

    def test_a_guest_that_stops_while_it_is_looked_at_is_ready(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "truth.records").write_bytes(bytes(boot.HEADER.size))
            header = boot.wait(StoppingGuest(folder), folder, boot.Plan("6.1"))
        self.assertEqual((header["length"], header["own_pid"]), (5, 77))


    def test_another_processor_has_the_levels_that_it_tells_of(self):
        """By QEMU's model and its features; what the guest says of its faults is kept."""
        models = ("max", "max,vendor=AuthenticAMD", "Icelake-Server", "Skylake-Client,+la57", "Icelake-Server,-la57", "EPYC-Milan")
        self.assertEqual([boot.has_five_levels(model) for model in models], [True, True, True, True, False, False])
        self.assertIn(" retbleed=stuff", boot.Plan("6.1", append="retbleed=stuff").cmdline())
        console = "[ 0.1] x\nlaboratory: vulnerability retbleed: Mitigation: IBRS\r\nlaboratory: other\n"
        self.assertEqual(boot.vulnerabilities(console), {"retbleed": "Mitigation: IBRS"})


class Number:
    """A number as drgn gives it."""

    def __init__(self, value):
        self.value = value

    def value_(self):
        """The number."""
        return self.value


class Link:
    """An element's list_head as drgn gives it."""

    def __init__(self, ahead, behind):
        self.next = Number(ahead)
        self.prev = Number(behind)


def verdict(name, word, findings=0):
    """A row of the table of `check`."""
    return {"check": name, "verdict": word, "findings": findings, "why": ""}


class Code:
    """Two functions in memory: the second is traced, behind a mark of four bytes."""

    def __init__(self, traced):
        self.program = self
        self.memory = {tamper.ARITHMETIC: (0x1000, bytes(32)), tamper.TRACED: (0x2000, traced)}

    def address(self, name):
        """Where a function begins."""
        return self.memory[name][0]

    def read(self, address, length):
        """Bytes of one of them."""
        start, code = next((start, code) for start, code in self.memory.values() if start <= address < start + len(code))
        return code[address - start:address - start + length]


class TamperTest(unittest.TestCase):
    """What is written into a copy, and how the answer is judged."""

    def test_an_element_is_left_out_both_ways(self):
        """Its neighbours lead to each other."""
        self.assertEqual(tamper.unlinked(Link(0x2000, 0x1000)), [(0x1000, tamper.word(0x2000)), (0x2008, tamper.word(0x1000))])

    def test_a_gate_leads_to_the_handler_and_keeps_its_other_bits(self):
        """The handler is in three parts of a gate of 16 bytes."""
        gate = bytearray(b"\xff" * 16)
        for at, data in tamper.gate_to(0xffffffff81234567):
            gate[at:at + len(data)] = data
        self.assertEqual(gate.hex(), "6745" + "ffffffff" + "2381" + "ffffffff" + "ffffffff")

    def test_code_is_rewritten_where_nothing_else_is(self):
        """One bit, and a call from behind the mark of code that is none."""
        changed, intercepted = tamper.rewritten(Code(b"\xf3\x0f\x1e\xfa" + tamper.NOTHING[0] + bytes(16)), 0x3000)
        self.assertEqual(changed.writes, [(0x1000 + tamper.BEHIND_TRACERS, b"\x01")])
        self.assertEqual(intercepted.writes, [(0x2004, b"\xe8" + (0x3000 - 0x2009).to_bytes(4, "little"))])
        with self.assertRaises(tamper.Trouble):
            tamper.rewritten(Code(bytes(32)), 0x3000)

    def test_what_only_some_processors_have_is_changed_where_it_is(self):
        """The last byte of what counts calls before a function; the register of a jump that a call leads to."""
        code = Code(b"\xf3\x0f\x1e\xfa" + tamper.NOTHING[0] + bytes(16))
        self.assertEqual(tamper.elsewhere(code), [])
        counter = bytes.fromhex("6548c13d0000000005")
        code.memory["skl_call_thunk_template"] = (0x5000, counter + bytes(8))
        code.memory["skl_call_thunk_tail"] = (0x5009, bytes(1))
        code.memory[tamper.TRACED] = (0x2010, bytes(16))
        code.memory["before"] = (0x2007, counter)
        self.assertEqual([one.writes for one in tamper.elsewhere(code)], [[(0x200f, b"\x06")]])
        code.memory.update(its_page=(0x6000, bytes(8)), _stext=(0x7000, b"\x90\xe8\x0a\x10\x00\x00" + bytes(26)), _etext=(0x7020, b""))
        code.memory["page"] = (0x8010, b"\x41\xff\xe3\xcc")
        self.assertEqual(tamper.elsewhere(code)[1].writes, [(0x8012, b"\xe2")])

    def test_addresses_are_found_in_the_file_and_restored(self):
        """Above 3.5 GiB the file goes on at 4 GiB; what was written twice is put right."""
        image_map = "0x0-0x10@0x0,0x100-0x110@0x10"
        self.assertEqual(tamper.offset_in_file(image_map, 0x104), 0x14)
        with self.assertRaises(tamper.Trouble):
            tamper.offset_in_file(image_map, 0x50)
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(range(32)))
            file.flush()
            ram = tamper.Ram(file.name, image_map)
            ram.write(0x104, b"xxxx")
            ram.write(0x106, b"yyyy")
            self.assertEqual(pathlib.Path(file.name).read_bytes()[0x14:0x1a], b"xxyyyy")
            ram.restore()
            ram.file.close()
            self.assertEqual(pathlib.Path(file.name).read_bytes(), bytes(range(32)))

    def test_the_right_check_must_find_the_right_thing_and_no_other_anything(self):
        """Each way of being wrong is told."""
        rows = [verdict("tasks", "finding", 1), verdict("modules", "clean"), {"check": "tasks", "pid": 7, "comm": "x"}]
        expected = {"tasks": {"pid": 7}}
        self.assertEqual(tamper.judge(rows, 1, expected), [])
        self.assertEqual(len(tamper.judge(rows, 1, {"tasks": {"pid": 8}})), 1)
        self.assertEqual(len(tamper.judge(rows, 0, expected)), 1)
        self.assertEqual(len(tamper.judge(rows, 0, {})), 1)
        self.assertEqual(len(tamper.judge([verdict("modules", "incomplete")], 0, {})), 1)
        self.assertEqual(tamper.judge([verdict("old", "not applicable")], 0, {}, ["old"]), [])
        self.assertEqual(tamper.judge([], 0, {}), ["there are no verdicts"])


OLD_PROFILE = """---
struct a_type:
  size: 0x10
  members:
    first: 0x0 int
    second: 0x8 struct xa_node *
---
struct zone:
  size: 0x8
  members:
    name: 0x0 char *
---
symbols:
  log_buf: 0xffffffff82000000 data 8 char *
"""


class OlderTest(unittest.TestCase):
    """Profiles and records in the layouts of an older kernel."""

    def test_members_change_in_one_type_only(self):
        profile = layouts.Profile(OLD_PROFILE)
        profile.in_document("struct a_type", r"^    first: (\S+) .*$", r"    number: \1 long int")
        self.assertEqual(profile.text, OLD_PROFILE.replace("    first: 0x0 int", "    number: 0x0 long int"))

    def test_a_type_is_replaced_or_added(self):
        profile = layouts.Profile(OLD_PROFILE)
        profile.define("struct a_type", 4, ["only: 0x0 int"])
        profile.define("struct new", 8, ["it: 0x0 u64"])
        self.assertEqual(profile.text.split("symbols:")[0], "---\nstruct a_type:\n  size: 0x4\n  members:\n    only: 0x0 int\n---\n"
                         "struct new:\n  size: 0x8\n  members:\n    it: 0x0 u64\n---\n"
                         "struct zone:\n  size: 0x8\n  members:\n    name: 0x0 char *\n---\n")

    def test_a_change_that_finds_nothing_is_trouble(self):
        profile = layouts.Profile(OLD_PROFILE)
        with self.assertRaises(Trouble):
            profile.in_document("struct a_type", r"^    third: .*$", "")
        with self.assertRaises(Trouble):
            profile.drop("struct absent")

    def test_a_type_is_dropped_with_its_mark(self):
        profile = layouts.Profile(OLD_PROFILE)
        profile.drop("struct a_type")
        self.assertEqual(profile.text, "---\n" + OLD_PROFILE[OLD_PROFILE.index("struct zone"):])

    def test_symbols_are_in_the_order_of_their_names(self):
        lines = ['  ".E_copy": 0x1 text 0', "  Bad: 0x2 text 0", "  _x: 0x3 text 0", "  a: 0x4 text 0"]
        self.assertEqual(sorted(reversed(lines), key=layouts.name_of), lines)

    def test_what_a_kernel_lacks_is_not_asked_for(self):
        entity = Entity("things", "walk things", ("id",), ("a", "b"), lambda truth: [{"id": 1, "a": 2, "b": 3}])
        self.assertIs(entity.without({}), entity)
        self.assertIsNone(entity.without({"things": None}))
        self.assertEqual(entity.without({"things": ["b"]}).expected(None), [{"id": 1, "a": 2, "b": None}])


class FigureTest(unittest.TestCase):
    """The figure of what nettlp-bench measured."""

    @staticmethod
    def guest(rows):
        """What nettlp-bench might say of a guest."""
        delays = [{"delay_us": delay, "serial": {"rows": rows, "rounds": 6 * rows + 3, "elapsed_us": rows * (400 + 6 * delay)},
                   "query": {"rows": rows, "rounds": 6, "elapsed_us": rows * 40 + 6 * delay}} for delay in (0, 100, 1000)]
        return {"tasks": rows, "kernel": "6.1 <x>", "processor": "A & B", "query": "walk tasks", "repeat": 3, "delays": delays}

    def drawn(self, *sizes):
        """The texts of a figure, which must be well-formed XML and stay inside its frame."""
        text = figure.figure({"command": "lab bench", "guests": [self.guest(size) for size in sizes]})
        root = xml.etree.ElementTree.fromstring(text)
        width, height = float(root.get("width")), float(root.get("height"))
        for part in root.iter():
            for key, most in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height), ("y1", height), ("cy", height)):
                self.assertTrue(0 <= float(part.get(key, 0)) <= most, part.attrib)
        return [part.text for part in root.iter("{http://www.w3.org/2000/svg}text")]

    def test_every_size_and_delay_is_there_with_its_ratio(self):
        texts = self.drawn(1000, 100)
        for expected in ("dependent rounds", "time, no delay", "time, delay 100 µs", "time, delay 1 ms", "100", "1\u202f000", "10×", "1\u202f000×"):
            self.assertIn(expected, texts)
        self.assertIn("6.1 <x>", texts[-1])

    def test_smaller_guests_come_first_and_one_is_enough(self):
        texts = self.drawn(1000, 100)
        self.assertLess(texts.index("100"), texts.index("1\u202f000"))
        self.assertIn("1\u202f000×", self.drawn(1000))

    def test_numbers_are_short(self):
        self.assertEqual([figure.ratio(value) for value in (1.04, 9.96, 12.4, 12345)], ["1.0×", "10.0×", "12×", "12\u202f345×"])
        self.assertEqual([figure.duration(value) for value in (12, 1000, 1e7, 6812)], ["12 µs", "1 ms", "10 s", "6.8 ms"])

    def test_memory_grows_with_the_tasks(self):
        self.assertEqual([bench.memory_for(number) for number in (100, 1000, 10000)], ["256M", "512M", "4G"])


class ComparedTest(unittest.TestCase):
    """The table of what was compared."""

    def test_a_run_replaces_its_kernels_and_keeps_the_others(self):
        """Cells add up over guests; a run of one kernel leaves the columns of others alone."""
        with tempfile.TemporaryDirectory() as folder:
            data, page = pathlib.Path(folder) / "compared.json", pathlib.Path(folder) / "compared.md"
            for version, differing in (("6.1", 0), ("5.10", 0), ("6.1", 2)):
                tally = compared.Tally()
                for _ in range(2):
                    tally.add(version, f"{version}.0", [compare.Result("tasks", rows=600, differing=differing)])
                tally.write(data, page)
            text = page.read_text()
            self.assertIn("| entity | 5.10 | 6.1 |", text)
            self.assertIn("| tasks | 1 200 | 1 200 (4 differ) |", text)


class ScriptsTest(unittest.TestCase):
    """The rule about rounds of scripts, and that about predictions."""

    def test_predictions_are_held_to_what_is_measured(self):
        """Reads and rounds are read from an answer, and both have to be near."""
        said = "walk …\npredicted: 110 reads in 5 dependent rounds, from a trial\nmeasured: 3 rows, 100 reads in 5 dependent rounds, …\n"
        outcome = predictions.outcome_of(said)
        self.assertEqual((outcome.predicted, outcome.measured), ((110, 5), (100, 5)))
        every = dict.fromkeys(predictions.HELD, outcome)
        self.assertEqual(predictions.far(every), [])
        late = predictions.Outcome((100, 5), (100, 7))
        self.assertEqual(len(predictions.far({**every, "ancestry": late, "ps": late})), 1)
        self.assertEqual(len(predictions.far({})), len(predictions.HELD))
        self.assertIn("**[ancestry]", predictions.page([("9 processes", every)]))
        for name in predictions.HELD:
            self.assertIn("explain analyze walk", predictions.explained(scripts.EXAMPLES / f"{name}.nq"))

    def test_rounds_that_grow_are_told(self):
        """A few more are the order of answers; more than that is growth; a status that is not 0 is a failure."""
        few = scripts.Cost(0, rows=10, rounds=5)
        self.assertIsNone(scripts.judge("ps", few, scripts.Cost(0, rows=1000, rounds=5 + scripts.SLACK)))
        self.assertIn("from 5 to 12", scripts.judge("ps", few, scripts.Cost(0, rows=1000, rounds=12)))
        self.assertIn("status 3", scripts.judge("ps", few, scripts.Cost(3, notes="stopped")))

    def test_a_cost_is_that_of_all_statements_and_its_rounds_the_longest_ones(self):
        """Lines that are no statistics are remarks."""
        notes = 'note: x\n{"rows":2,"reads":9,"rounds":4}\n{"rows":1,"reads":5,"rounds":7}\n{not JSON\n'
        cost = scripts.cost_of(Answer(0, [], {}, notes))
        self.assertEqual((cost.rows, cost.reads, cost.rounds), (3, 14, 7))

    def test_every_script_says_what_it_answers(self):
        """Its first comment is the table's second column."""
        for script in scripts.EXAMPLES.glob("*.nq"):
            self.assertTrue(scripts.about(script), script)


if __name__ == "__main__":
    unittest.main()

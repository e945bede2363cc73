"""The fuzzer sees what readers do wrong, and a slice of its inputs finds nothing."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
NUM_INPUTS = 300


def run(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def outcomes():
    done = run("tests.fuzz.bad_readers")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


VERDICTS = {
    "accepts": "accepted",
    "accepts_and_writes": "accepted",
    "names_the_file": "refused",
    "names_no_file": "names no file",
    "names_no_file_of_the_system": "names no file",
    "exits_as_a_command": "refused",
    "exits_with_two_lines": "exits with 2",
    "says_nothing": "names no file",
    "speaks_without_end": "is a long line",
    "raises_key_error": "raises KeyError",
    "recurses": "raises RecursionError",
    "segfaults": "ends the process with SIGSEGV",
    "exits": "ends the process with exit code 3",
    "waits": "hangs",
    "computes_without_end": "slow",
    "is_slow": "slow",
    "takes_memory_for_a_moment": "takes much memory",
    "claims_memory_that_it_does_not_use": "accepted",
    "takes_memory_in_a_child": "takes much memory",
    "leaves_a_file_and_refuses": "leaves files",
    "leaves_a_folder_and_refuses": "leaves files",
    "leaves_a_temporary_file": "leaves files",
    "leaves_a_partial_folder": "leaves files",
    "changes_its_input": "leaves files",
    "deletes_its_input": "leaves files",
}


@pytest.mark.parametrize("reader", VERDICTS)
def test_a_reader_is_judged_by_what_it_does(reader, outcomes):
    assert outcomes[reader][0] == VERDICTS[reader], outcomes[reader][1]


def test_a_message_is_judged_as_commands_print_it(outcomes):
    assert outcomes["names_the_file"][1].endswith(r"/a.bin: damaged in \x1b[31mtwo lines")


def test_a_reader_that_dies_does_not_end_the_search(outcomes):
    ended = ["ends the process with SIGSEGV", "raises KeyError"]
    assert outcomes["in turn"] == ["accepted", ended[0], "accepted", ended[1], "accepted"]


def test_damaged_files_of_every_kind_are_read_or_refused(tmp_path):
    """The table counts every input: none is lost."""
    done = run("tests.fuzz", f"--inputs={NUM_INPUTS}", "--jobs=1", f"--out={tmp_path}", "--plain")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [re.split(r"\s{2,}", line) for line in done.stdout.splitlines()]
    assert rows[0] == ["kind", "tried", "read", "refused", "findings", "MiB", "s"]
    counts = {name: [int(x.replace(",", "")) for x in numbers[:4]] for name, *numbers in rows[1:]}
    tried = {name: numbers[0] for name, numbers in counts.items()}
    assert tried.pop("all") == sum(tried.values()) >= NUM_INPUTS
    assert all(number >= 2 for number in tried.values())
    for number, read, refused, findings in counts.values():
        assert (number, findings) == (read + refused, 0)
    assert os.listdir(tmp_path) == []


def test_a_finding_is_saved_and_can_be_repeated(tmp_path):
    from tests.fuzz.children import Outcome
    from tests.fuzz.rounds import Finding, load_finding

    case = {"labels.json": b"\xff", "x/b": "pipe"}
    finding = Finding("labels.json", Outcome("names no file", "invalid start byte"), case)
    path = finding.save(tmp_path)
    assert load_finding(path) == ("labels.json", case)
    about = json.loads((path / "finding.json").read_text())
    assert about["repeat"] == f"python -m tests.fuzz --repeat={path}"
    done = run("tests.fuzz", f"--repeat={path}")
    assert (done.returncode, done.stderr) == (0, "")  # Today's reader names the file.
    assert done.stdout.startswith("labels.json: refused: /")
    assert "labels.json: not JSON" in done.stdout


def test_the_same_seed_gives_the_same_inputs():
    code = (
        "import hashlib; from tests.fuzz import rounds; from tests.fuzz.catalogue import BY_NAME\n"
        "found = hashlib.sha256()\n"
        "class Children:\n"
        "    def __init__(self, *args, **kwargs): pass\n"
        "    def outcome(self, case): found.update(repr(case).encode())\n"
        "    def close(self): pass\n"
        "rounds.Children = Children\n"
        "for seed in (1, 1, 2):\n"
        "    rounds.run_round(BY_NAME['labels.json'], seed, 20, lambda case, outcome: None)\n"
        "    print(found.hexdigest()); found = hashlib.sha256()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    first, again, other = done.stdout.split()
    assert first == again != other

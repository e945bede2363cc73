"""The benchmark of GPU machines, run on a CPU with tiny networks."""

import json
import subprocess
import sys

import pytest

from benchmarks import gpu


def test_the_projection_takes_the_faster_form_and_names_what_is_missing():
    rows = [
        {"measured": "training", "resolution": r, "sec_per_kimg": s, "jit": jit}
        for jit, factor in (("on", 1.0), ("off", 2.0))
        for r, s in ((4, 0.1 * factor), (8, 0.3 / factor))
    ]
    rows.append({"measured": "training", "resolution": 16, "error": "not done in 9 s"})
    rows.append({"measured": "input", "resolution": 32, "images_per_sec": 1.0})
    line = gpu.projected(rows)
    assert line.startswith(f"projected: {(600 * 0.1 + 1200 * 0.15) / 3600:.2f} h of training, ")
    assert line.endswith("without the stages 16:128 32:64 64:32 128:16 256:8 512:4 1024:4")
    whole = [
        {"measured": "training", "resolution": int(stage.split(":")[0]), "sec_per_kimg": 3.0}
        for stage in gpu.STAGES.split(",")
    ]
    assert gpu.projected(whole) == "projected: 10.00 h of training for 12,000 kimg"


def test_what_is_late_or_fails_is_a_row_with_an_error():
    options = {"precision": "fp32", "networks": "tiny", "jit": "off"}
    assert gpu.in_process("input", 4, 4, options, 0.0)["error"] == "no time is left"
    assert gpu.in_process("input", 4, 4, options, 1e-3)["error"] == "not done in 0 s"
    assert "no such kind" in gpu.in_process("no such kind", 4, 4, options, 100.0)["error"]


@pytest.mark.slow
def test_all_of_it_runs_on_a_cpu():
    command = [sys.executable, "-m", "benchmarks.gpu", "--networks=tiny", "--precision=fp32"]
    command += ["--stages=4:8,8:4", "--iterations=2", "--seconds=0.1", "--jit=on,off"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, *lines, last = done.stdout.splitlines()
    assert json.loads(first)["tensorflow"]
    rows = [json.loads(line) for line in lines]
    assert [row["measured"] for row in rows] == [
        *["training"] * 2, "input", "input", "generation", *["training"] * 2
    ]  # fmt: skip
    assert not [row for row in rows if "error" in row]
    assert all(row.get("sec_per_kimg", 1) > 0 for row in rows)
    assert "without the stages 16:128" in last

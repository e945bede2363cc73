"""The command train.py: flags, one-line errors, resuming, a full disk."""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from pgtf.commands import train_flags
from pgtf.config import PRESETS, Config
from tests.training import jobs

ROOT = pathlib.Path(__file__).parents[2]
TINY = (
    *jobs.TINY,
    "--config.schedule.minibatch_base=8",
    "--config.schedule.tick_kimg_base=0.064",
)


def start(arguments, **options):
    """Starts train.py in a process of its own."""
    command = [sys.executable, "train.py", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **pipes, **options)


def test_help_shows_the_command_and_every_flag_in_the_order_people_need_them(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert out.startswith("Trains a network: python train.py --dataset=")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    listed = lines[lines.index("flags that most runs need:") + 1 :]
    names = [line.split(":")[0] for line in listed if line.startswith("  --")]
    assert names[:3] == ["  --dataset", "  --preset", "  --gpus"]
    assert {name.replace("[no]", "") for name in names} == {f"  --{n}" for n in train_flags.FLAGS}
    assert names[-1].startswith("  --config.")


def test_dry_run_prints_the_configuration_and_the_stages_and_writes_nothing(
    run,
    dataset_folder,
    tmp_path,
):
    code, out, _ = run("--dry_run", f"--dataset={dataset_folder}", "--gpus=2")
    assert code == 0
    text, table = out.split("\n}\n")
    config = Config.from_json(text + "\n}")
    assert config.schedule.minibatch_dict == PRESETS["v2-2gpus"].schedule.minibatch_dict
    assert (config.schedule.resolution_log2, config.schedule.num_gpus) == (3, 2)
    assert [line.split()[3] for line in table.splitlines()[1:]] == ["4x4", "8x8", "8x8"]
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset=/nowhere/at/all"], "/nowhere/at/all"),
        (["--dataset={dataset}", "--gpus=3"], "`--preset` is needed for --gpus=3"),
        (["--dataset={dataset}", "--preset=v2-1gpu", "--gpus=64"], "visible GPUs (none)"),
        (["--dataset={dataset}", "--config.schedule.minibatch_base=x"], "must be an integer"),
        (["--dataset={dataset}", "--config.dataset.resolution=64"], "resolution=64"),
        (["--dataset={dataset}", "--dry_run", "--preset=demo", "--cpu_replicas=3"], "replicas=3"),
        (["--dataset={dataset}", "--preset=demo", "--all_reduce=ring"], "all_reduce=ring"),
        (
            ["--dataset={dataset}", "--dry_run", "--preset=demo", "--grad_accumulation=3"],
            "grad_accumulation=3",
        ),
        (["--dataset={dataset}", "--preset=demo", "--precision=tf32"], "precision=tf32"),
        (["--dataset={dataset}", "--resume_pkl=/nowhere.pkl"], "/nowhere.pkl"),
        (["--dataset={dataset}", "--preset=v2-1gpus"], "Did you mean `v2-1gpu`?"),
        (["--dataset={dataset}", *TINY, "--metrics=fdi"], "Did you mean `fid`?"),
        (["--dataset={dataset}", *TINY, "--metrics=swd"], "16x16 pixels or more. Received: 8x8"),
        (["--dataset={dataset}", *TINY, "--metrics=is", "--inception=/no.pb"], "/no.pb"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(
    run,
    dataset_folder,
    tmp_path,
    arguments,
    message,
):
    code, out, err = run(*(text.format(dataset=dataset_folder) for text in arguments))
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "results").exists()


def damage(folder, how):
    """Damages a dataset folder in one way."""
    top, labels = folder / "blocks-r03.tfrecords", folder / "blocks-rxx.labels"
    match how:
        case "a level is missing":
            (folder / "blocks-r02.tfrecords").unlink()
        case "truncated":
            top.write_bytes(top.read_bytes()[:-7])
        case "foreign":
            top.write_bytes(b"\x89PNG" * 1000)
        case "empty":
            top.write_bytes(b"")
        case "labels too short":
            np.save(folder / "short.npy", np.zeros((39, 4), np.float32))
            (folder / "short.npy").rename(labels)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("a level is missing", "blocks-r02.tfrecords, is missing"),
        ("truncated", "blocks-r03.tfrecords"),
        ("foreign", "blocks-r03.tfrecords"),
        ("empty", "blocks-r03.tfrecords"),
        ("labels too short", "39 rows for 40 images"),
    ],
)
def test_a_damaged_dataset_is_one_line_that_names_the_file(
    run, dataset_folder, tmp_path, how, message
):
    copy = tmp_path / "blocks"
    shutil.copytree(dataset_folder, copy)
    damage(copy, how)
    code, _, err = run(f"--dataset={copy}", *TINY)
    assert code == 2
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert message in line


@pytest.mark.slow  # starts TensorFlow in a process of its own
def test_an_unknown_flag_names_the_nearest():
    process = start(["--config.schedule.minibatch_bas=4"])
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "minibatch_base" in err
    assert "Traceback" not in err


def test_the_same_command_continues_and_a_finished_run_says_so(
    run,
    dataset_folder,
    tmp_path,
):
    arguments = [f"--dataset={dataset_folder}", *TINY, "--total_kimg=0.064"]
    assert run(*arguments)[0] == 0
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.name == "000-blocks-demo"
    assert "tick 0" in (folder / "log.txt").read_text()
    code, out, _ = run(*arguments)
    assert code == 0
    assert "000-blocks-demo is finished" in out
    assert len(list((tmp_path / "results").iterdir())) == 1


@pytest.mark.slow
def test_a_finished_run_of_a_moved_dataset_is_finished_and_can_be_trained_longer(
    run, dataset_folder, tmp_path, caplog
):
    path = tmp_path / "blocks"
    shutil.copytree(dataset_folder, path)
    assert run(f"--dataset={path}", *TINY, "--total_kimg=0.064")[0] == 0
    (folder,) = (tmp_path / "results").iterdir()
    path = path.rename(tmp_path / "job-17")
    code, out, _ = run(f"--dataset={path}/", *TINY, "--total_kimg=0.064")
    assert (code, f"{folder} is finished" in out) == (0, True)
    code, out, _ = run(f"--dataset={path}", *TINY, "--total_kimg=0.128")
    assert code == 0
    assert "continuing to 0.128 kimg instead of 0.064" in caplog.text
    assert (
        f"the dataset moved: continuing with {path} instead of {tmp_path / 'blocks'}" in caplog.text
    )
    text = (folder / "log.txt").read_text()
    assert f"{folder}: continuing to 0.128 kimg instead of 0.064" in text
    assert f"{folder}: the dataset moved: continuing with {path} instead of" in text
    config = json.loads((folder / "config.json").read_text())
    assert (config["dataset"]["path"], config["training"]["total_kimg"]) == (str(path), 0.128)
    code, out, _ = run(f"--dataset={path}", *TINY, "--total_kimg=0.064")
    assert "was trained to 0.128 kimg already, 0.064 are asked" in caplog.text
    assert f"{folder} is finished" in out
    code, _, err = run(f"--dataset={path}", *TINY, "--total_kimg=0.128", "--seed=7")
    assert (code, "training.seed: 1000 -> 7" in err) == (2, True)
    changed = [*TINY, "--total_kimg=0.192", "--seed=7", "--allow_config_change"]
    assert run(f"--dataset={path}", *changed)[0] == 0
    assert len(list((tmp_path / "results").iterdir())) == 1
    lines = (folder / "stats.jsonl").read_text().splitlines()
    assert [json.loads(line)["kimg"] for line in lines] == [0.064, 0.128, 0.192]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "extra", "code"),
    [(signal.SIGTERM, [], 143), (signal.SIGINT, [], 130), (signal.SIGTERM, [7], 7)],
)
def test_a_signal_ends_the_run_with_a_checkpoint_and_the_command_to_continue(
    dataset_folder,
    tmp_path,
    signum,
    extra,
    code,
):
    arguments = [f"--dataset={dataset_folder}", f"--outdir={tmp_path}", *TINY, "--total_kimg=999"]
    arguments.append("--new")
    process = start(arguments + [f"--preempt_exit_code={value}" for value in extra])
    lines = []
    while not (lines and lines[-1].startswith("tick 0")):
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    process.send_signal(signum)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == code
    (command,) = (line for line in out.splitlines() if "To continue: " in line)
    assert "--total_kimg=999" in command
    assert "--new" not in command
    newest = max(int(p.stem[-9:]) for p in tmp_path.glob("*/checkpoint/checkpoint-*.h5"))
    assert newest >= 64


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_the_previous_snapshot_and_one_line(
    dataset_folder,
    tmp_path,
):
    arguments = [f"--dataset={dataset_folder}", f"--outdir={tmp_path}", *TINY]
    arguments.append("--config.training.network_snapshot_ticks=1")
    first = start([*arguments, "--total_kimg=0.064"])
    first.communicate(timeout=120)
    assert first.returncode == 0
    (snapshot,) = tmp_path.glob("*/network-snapshot-*.h5")
    before = snapshot.read_bytes()
    limit = len(before) - 1  # bytes that any file may have: the snapshot no longer fits

    process = start(
        [*arguments, "--total_kimg=0.128", "--allow_config_change"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "the disk is full, or a quota (cannot write" in err
    assert snapshot.read_bytes() == before
    assert not [name for name in os.listdir(snapshot.parent) if name.endswith(".tmp")]

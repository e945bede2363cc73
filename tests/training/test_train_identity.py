"""The command train.py: which run it means, and how a run of given networks begins."""

import json
import shutil

import numpy as np
import pytest

from pgtf import interop, networks
from pgtf.config import Config
from pgtf.dataset import open_dataset
from pgtf.runs import continuation
from pgtf.runs.choice import Request
from pgtf.training import loop
from tests.training.test_train import TINY


def printed_config(out):
    return Config.from_json(out.split("\n}\n")[0] + "\n}")


@pytest.fixture
def snapshot(tmp_path, config):
    """Networks with fewer feature maps than any preset's, after 48 images."""
    small = config.replace({"G.fmap_max": 4, "D.fmap_max": 4})
    G, D = networks.build(small.G, seed=1), networks.build(small.D, seed=2)
    interop.save_snapshot(tmp_path / "last.h5", G, D, G, cur_nimg=48)
    return tmp_path / "last.h5"


@pytest.fixture
def blocks(dataset_folder):
    return f"--dataset={dataset_folder}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume_kimg=7"], "`--resume_kimg` needs --resume_pkl. Received: resume_kimg=7."),
        (["--resume_pkl={}", "--total_kimg=0.048"], "resume_kimg=0.048, total_kimg=0.048"),
        (["--resume_pkl={}", "--resume_kimg=90", "--total_kimg=90"], "nothing is left to train"),
        (
            ["--resume_pkl={}", "--config.G.fmap_max=8", "--config.D.fmap_max=4"],
            "has others than the flags ask for. Received: --config.G.fmap_max=8 for 4.",
        ),
        (["--resume_pkl=/nowhere/celebahq.pkl", "--resume_kimg=1"], "/nowhere/celebahq.pkl"),
        (["--fit_schedule", "--config.schedule.lod_initial_resolution=8"], "images that grow"),
        (["--minibatch=0"], "minibatch"),
        (["--minibatch=8", "--config.schedule.minibatch_base=4"], "Received: '4' and 8. Give one"),
        (["--minibatch=8", "--config.schedule.minibatch_dict=8:4"], "Received: '8:4' and {}."),
        (["--seed=8", "--config.training.seed=4"], "Received: '4' and 8. Give one of them."),
        (["--total_kimg=nan"], "`total_kimg` must be above 0. Received: nan."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("dry", [[], ["--dry_run"]], ids=["train", "dry_run"])
def test_what_contradicts_itself_is_one_line_and_begins_nothing(
    run, blocks, snapshot, tmp_path, arguments, message, dry
):
    given = [text.format(snapshot) for text in arguments]
    code, out, err = run(blocks, "--preset=v2-1gpu", "--gpus=0", *given, *dry)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (code, out, len(lines)) == (2, "", 1)
    assert message in lines[0]
    assert not (tmp_path / "results").exists()


def test_dry_run_shows_the_networks_of_the_file_and_where_they_begin(run, blocks, snapshot):
    flags = [f"--resume_pkl={snapshot}", "--config.G.fmap_max=4"]
    code, out, err = run(blocks, "--preset=v2-1gpu", *flags, "--dry_run")
    assert code == 0
    config = printed_config(out)
    assert (config.G.fmap_max, config.D.fmap_max, config.G.latent_size) == (4, 4, 8)
    assert f"Networks at the start: {snapshot}, at 0.048 kimg (the snapshot's own count)" in err


def test_dry_run_says_which_run_the_command_means(run, blocks, tmp_path):
    command = [blocks, *TINY, "--total_kimg=0.064"]
    code, out, err = run(*command, "--dry_run")
    assert (code, f"Run: a new one in {tmp_path}/results" in err) == (0, True)
    folder = stored_run(out, blocks, tmp_path, "demo")
    code, out, err = run(*command, "--dry_run", "--total_kimg=0.128")
    assert (code, f"Run: continues {folder}" in err) == (0, True)
    assert f"{folder}: continuing to 0.128 kimg instead of 0.064" in err
    code, out, err = run(*command, "--dry_run", "--seed=7")
    assert (code, printed_config(out).training.seed) == (0, 7)
    assert f"Run: refused as it stands: {folder} is unfinished and has" in err
    (folder / "finished").touch()
    code, out, err = run(*command, "--dry_run")
    assert (code, f"Run: {folder} is finished" in err) == (0, True)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["000-blocks-demo"]


def stored_run(out, blocks, tmp_path, preset, **changes):
    """Stores a run of the configuration that --dry_run printed."""
    config = printed_config(out).replace({k.replace("__", "."): v for k, v in changes.items()})
    dataset = open_dataset(blocks.partition("=")[2], max_label_size=0)
    return continuation.open_run(Request.of(tmp_path / "results", preset, config, dataset)).folder


@pytest.mark.parametrize("is_finished", [False, True])
def test_another_number_of_gpus_does_not_begin_another_run_in_silence(
    run, blocks, tmp_path, is_finished
):
    _, out, _ = run(blocks, "--gpus=8", "--dry_run")
    folder = stored_run(out, blocks, tmp_path, "v2-8gpus")
    if is_finished:
        (folder / "finished").touch()
    _, _, err = run(blocks, "--gpus=4", "--dry_run")
    assert "Run: refused as it stands" in err
    assert "schedule.num_gpus: 8 -> 4" in err
    assert "--gpus now chooses preset v2-4gpus instead of v2-8gpus" in err
    assert "--preset=v2-8gpus --allow_config_change, or start another run with --new" in err
    code, _, err = run(blocks, "--gpus=0")  # the preset for one device
    assert (code, "--gpus now chooses preset v2-1gpu instead of v2-8gpus" in err) == (2, True)
    longer = ["--total_kimg=20000", "--allow_config_change"]
    _, _, err = run(blocks, "--gpus=4", "--preset=v2-8gpus", *longer, "--dry_run")
    assert f"Run: continues {folder}" in err
    _, _, err = run(blocks, "--gpus=4", "--preset=v2-4gpus", "--dry_run")
    assert "Run: a new one" in err
    assert ("unfinished: --preset=v2-8gpus continues it" in err) is not is_finished


@pytest.mark.parametrize(
    ("arguments", "base", "largest"),
    [
        (["--minibatch=32"], 32, {}),
        (["--minibatch=32", "--config.schedule.max_minibatch_per_gpu=8:16"], 32, {8: 16}),
        (["--config.schedule.minibatch_dict=none"], 4, {256: 16, 512: 8, 1024: 4}),
        (["--config.schedule.minibatch_dict={}"], 4, {256: 16, 512: 8, 1024: 4}),
    ],
)
def test_one_minibatch_for_all_resolutions(run, blocks, arguments, base, largest):
    code, out, _ = run(blocks, "--preset=v2-1gpu", *arguments, "--dry_run")
    assert code == 0
    schedule = printed_config(out).schedule
    assert (schedule.minibatch_base, schedule.minibatch_dict) == (base, {})
    assert schedule.max_minibatch_per_gpu == largest
    assert [schedule.minibatch(size) for size in (4, 1024)] == [base, base]


def test_dry_run_warns_of_training_that_ends_before_it_has_grown(run, blocks):
    command = [blocks, "--preset=v2-1gpu", "--total_kimg=1000", "--dry_run"]
    _, _, err = run(*command)
    assert "Warning: training ends in the fade from 4x4 to 8x8, not at 8x8: " in err
    _, out, err = run(*command, "--fit_schedule")
    assert "Warning: training" not in err
    table = [line.split()[2:5] for line in out.split("\n}\n")[1].splitlines()[1:]]
    assert table == [
        ["400", "4x4", "stabilise"],
        ["800", "8x8", "fade"],
        ["1000", "8x8", "stabilise"],
    ]
    schedule = printed_config(out).schedule
    assert (schedule.lod_training_kimg, schedule.lod_transition_kimg) == (400, 400)


def test_the_loop_gets_the_networks_their_age_and_the_folder_that_they_began(
    run, blocks, snapshot, tmp_path, monkeypatch
):
    calls = []
    monkeypatch.setattr(loop, "run", lambda *args: calls.append(args))
    sizes = [name for name in TINY if ".G." not in name and ".D." not in name]
    for _ in range(2):
        assert run(blocks, *sizes, f"--resume_pkl={snapshot}")[0] == 0
    folders = {str(folder) for _, _, _, folder, _ in calls}
    assert folders == {f"{tmp_path}/results/000-blocks-demo"}
    for config, _, _, _, options in calls:
        assert (options.start.nimg, options.preset) == (48, "demo")
        assert options.start.G.config == config.G


@pytest.mark.slow
def test_a_run_of_given_networks_continues_instead_of_beginning_with_them_again(
    run, blocks, snapshot, tmp_path, caplog
):
    sizes = [name for name in TINY if ".G." not in name and ".D." not in name]
    command = [blocks, *sizes, f"--resume_pkl={snapshot}"]
    assert run(*command, "--total_kimg=0.112", "--config.schedule.tick_kimg_base=0.01")[0] == 0
    (folder,) = (tmp_path / "results").iterdir()
    start = json.loads((folder / "identity.json").read_text())["start"]
    assert (start["nimg"], start["file"]) == (48, str(snapshot))
    log = (folder / "log.txt").read_text()
    assert f"Networks at the start: {snapshot}, at 0.048 kimg (the snapshot's own count)" in log
    assert f"{folder}: a new run, in {tmp_path}/results" in log
    assert "Resuming from" not in log
    (folder / "finished").unlink()  # as if it had been interrupted before the last image
    moved = shutil.move(snapshot, tmp_path / "moved.h5")
    command = [*command[:-1], f"--resume_pkl={moved}", "--config.schedule.tick_kimg_base=0.01"]
    assert run(*command, "--total_kimg=0.12")[0] == 0
    assert list((tmp_path / "results").iterdir()) == [folder]
    assert "Resuming from" in (folder / "log.txt").read_text()
    kimgs = [json.loads(x)["kimg"] for x in (folder / "stats.jsonl").read_text().splitlines()]
    assert kimgs == sorted(set(kimgs))
    assert (kimgs[0], kimgs[-1]) == (0.064, 0.12)
    assert json.loads((folder / "identity.json").read_text())["start"] == start
    code, _, err = run(*command, "--total_kimg=0.12", "--resume_kimg=0.03")
    assert (code, "the networks at the start: " in err, "--new" in err) == (2, True, True)


def test_the_log_warns_of_a_short_training_and_of_labels_that_are_not_one_hot(
    run, dataset_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "run", lambda *args: None)
    shutil.copytree(dataset_folder, tmp_path / "many")
    with open(tmp_path / "many" / "blocks-rxx.labels", "wb") as file:
        np.save(file, np.ones((40, 4), np.float32))
    flags = ["--config.dataset.max_label_size=full", "--total_kimg=9"]
    assert run(f"--dataset={tmp_path / 'many'}", "--preset=demo", "--gpus=0", *flags)[0] == 0
    log = (tmp_path / "results" / "000-many-demo" / "log.txt").read_text()
    assert "Warning: training ends in the fade from 4x4 to 8x8, not at 8x8: the last fade " in log
    assert "not one-hot: their part of the loss, a softmax cross-entropy, is at least 5.5" in log

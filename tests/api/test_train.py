"""pgtf.train: the same runs as train.py, callbacks, refusals, interruptions, progress."""

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl import flags as absl_flags
from absl.testing import flagsaver

import pgtf
from pgtf.api import display
from pgtf.api.options import TrainOptions, from_keywords
from pgtf.commands import train as train_command
from pgtf.commands import train_config, train_flags
from pgtf.training import callbacks, loop
from tests.training import jobs
from tests.training.conftest import FakeStepper

ROOT = Path(__file__).parents[2]
TINY = {
    "preset": "demo",
    "gpus": 0,
    "fmap_base": 32,
    "fmap_max": 8,
    "lod_training_kimg": 0.064,
    "lod_transition_kimg": 0.064,
    "minibatch_base": 8,
    "minibatch_dict": {},
    "tick_kimg_base": 0.064,
    "tick_kimg_dict": {},
    "network_snapshot_ticks": 1,
}


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets") / "blocks"
    jobs.write_blocks(folder)
    return folder


@pytest.fixture
def without_graphs(monkeypatch):
    """Runs the loop without TensorFlow's graphs: no training, no pictures."""

    def standard(folder, dataset, state, config):
        stats = callbacks.StatsFile(folder, state.progress.cur_nimg)
        return [callbacks.StatusLine(), stats, callbacks.Snapshot(folder, dataset, config)]

    monkeypatch.setattr(loop, "Stepper", FakeStepper)
    monkeypatch.setattr(callbacks, "standard", standard)


@pytest.fixture
def train(blocks, tmp_path, without_graphs):
    def call(*args, **options):
        return pgtf.train(blocks, *args, outdir=tmp_path / "results", **TINY | options)

    return call


def test_training_gives_a_run_with_statistics_snapshots_and_networks(train, tmp_path):
    seen = []
    run = train(total_kimg=0.256, callbacks=[seen.append])
    assert run.folder == tmp_path / "results" / "000-blocks-demo"
    assert run.finished
    assert [tick.kimg for tick in seen] == [0.064, 0.128, 0.192, 0.256]
    assert [line["kimg"] for line in run.stats] == [tick.kimg for tick in seen]
    assert [line["G_loss"] for line in run.stats] == [tick.statistics["G_loss"] for tick in seen]
    assert (run.config.G.fmap_max, run.config.D.fmap_max) == (8, 8)
    net = run.load()
    assert (net.kind, net.resolution, net.config.training.total_kimg) == ("run", 8, 0.256)
    assert list(run.snapshots) == [0]  # four files of less than 1 kimg have one name
    with pytest.raises(ValueError, match="no snapshot at 7 kimg. Snapshots: 0"):
        run.load(7)
    assert repr(run) == f"<pgtf.Run, finished: 0.256 kimg, {run.folder}>"
    assert pgtf.Run(0, outdir=tmp_path / "results").folder == run.folder


def test_the_same_call_continues_finishes_and_says_so(train, capsys):
    assert not (train(total_kimg=0.128, callbacks=[Stops()])).finished
    out = capsys.readouterr().out
    assert "Stopped, with a checkpoint in " in out
    run = train(total_kimg=0.128)
    assert run.finished
    assert "Resuming from" in capsys.readouterr().out
    assert [line["kimg"] for line in run.stats] == [0.064, 0.128]
    assert train(total_kimg=0.128).folder == run.folder
    assert "is finished. Train it longer with a larger total_kimg" in capsys.readouterr().out
    assert train(total_kimg=0.128, new=True).folder.name == "001-blocks-demo"


class Stops(pgtf.Callback):
    """Ends training after the first tick."""

    def on_tick(self, stats):
        images = self.Gs.run(np.ones((2, self.Gs.latent_size), np.float32))
        assert images.shape == (2, stats.resolution, stats.resolution, 3)
        assert not self.final
        self.stop()


def test_callbacks_are_called_in_order_and_their_errors_end_the_call(train):
    class Fails:
        def on_tick(self, stats):
            order.append("object")
            raise RuntimeError("no more")

    order = []
    with pytest.raises(RuntimeError, match="no more"):
        train(total_kimg=0.128, callbacks=[lambda stats: order.append("function"), Fails()])
    assert order == ["function", "object"]
    assert train(total_kimg=0.128).finished
    with pytest.raises(ValueError, match="`callbacks` must be functions"):
        train(callbacks=[3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kimg": 5}, "no option `kimg`. Did you mean `total_kimg`?"),
        ({"total_kimg": "5"}, "`total_kimg` must be a number. Received: '5'."),
        ({"total_kimg": -1}, "`total_kimg` must be above 0"),
        ({"preset": "dmo"}, "no preset `dmo`. Did you mean `demo`?"),
        ({"precision": "fp23"}, "`precision` must be fp32 or tf32 or bf16 or fp16"),
        ({"gpus": True}, "`gpus` must be a whole number"),
        ({"lod_training_kimg": "x"}, "must be a number. Received: 'x'."),
        ({"minibatch_dict": {4: "x"}}, "must be a table"),
        ({"G.fmap_max": np.zeros(3)}, "`G.fmap_max` must be an integer. Received: ndarray."),
        ({"metrics": "fdi"}, "Did you mean `fid`?"),
        ({"resume_kimg": 1}, "`--resume_kimg` needs --resume_pkl"),
        ({"gpus": 64}, "must not exceed the visible GPUs"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_one_line_and_begins_nothing(train, tmp_path, options, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        train(**options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "results").exists()


def test_a_changed_configuration_is_refused_with_the_remedies_of_the_command(train):
    train(total_kimg=0.064)
    with pytest.raises(ValueError, match=r"has another configuration: .*lod_training_kimg: 0.064"):
        train(total_kimg=0.128, lod_training_kimg=0.01)


def test_devices_that_tensorflow_uses_already_are_an_error_with_a_remedy(train, monkeypatch):
    def refuse(*_):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    assert tf.reduce_sum(tf.ones(2)) == 2  # It has chosen its devices.
    with pytest.raises(ValueError, match="`--cpu_replicas` must be given before"):
        train(cpu_replicas=2)
    monkeypatch.setattr(tf.config, "set_visible_devices", refuse)
    with pytest.raises(ValueError, match="`--gpus` must not be 0 after TensorFlow"):
        train()


def test_a_missing_dataset_is_an_oserror(tmp_path):
    with pytest.raises(OSError, match="no such dataset folder"):
        pgtf.train(tmp_path / "nowhere", preset="demo", outdir=tmp_path / "results")


def test_keywords_are_options_or_fields_and_fields_of_several_parts_set_them_all():
    options = from_keywords(seed=3, fmap_max=4, **{"D.fmap_base": 16, "G_lrate_dict": {8: 1e-3}})
    assert options.seed == 3
    assert options.fields == {
        "G.fmap_max": 4,
        "D.fmap_max": 4,
        "D.fmap_base": 16,
        "schedule.G_lrate_dict": {8: 1e-3},
    }


def test_every_option_is_a_flag_with_the_same_default():
    for field in dataclasses.fields(TrainOptions):
        if field.name != "fields":
            assert train_flags.FLAGS[field.name].default == field.default, field.name


def test_nothing_of_the_process_is_changed(train):
    def settings():
        logger = logging.getLogger("absl")
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        return (
            (list(logger.handlers), logger.level, logger.propagate, *handlers),
            {name: absl_flags.FLAGS[name].value for name in absl_flags.FLAGS},
            dict(os.environ),
        )

    before = settings()
    train(total_kimg=0.064)
    assert settings() == before


def test_progress_is_lines_in_a_script_and_can_be_switched_off(train, capsys, caplog):
    run = train(total_kimg=0.064)
    out = capsys.readouterr().out
    assert "a new run, in " in out
    assert "tick 0" in out
    assert "{" not in out  # The configuration is in log.txt.
    assert '"total_kimg": 0.064' in (run.folder / "log.txt").read_text()
    train(total_kimg=0.128, progress=False)
    assert capsys.readouterr().out == ""


def test_progress_in_a_notebook_is_one_line_that_changes(train, capsys, monkeypatch):
    shown, lines = [], []

    class Handle:
        def update(self, data, raw):
            shown.append(data["text/plain"])

    def show(data, raw, display_id):
        shown.append(data["text/plain"])
        lines.append(display_id)
        return Handle()

    shell = types.SimpleNamespace(kernel=None)
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=show))
    monkeypatch.setattr(display, "REDRAW_SEC", 0.0)
    train(total_kimg=0.128)
    assert len(shown) > 3
    assert lines == [True]
    assert all("\n" not in text for text in shown)
    assert "of 0.128 kimg, 4x4, " in shown[0]
    assert "0.1 of 0.128 kimg, 8x8, fading in" not in shown[-1]
    assert "trained for" in shown[-1]
    assert "tick" not in capsys.readouterr().out
    train(total_kimg=0.128)  # The same cell, run again, shows the same line.
    assert shown[-1] == shown[-2]
    assert lines == [True, True]


def test_training_works_in_a_thread_which_has_no_signals(train):
    found = []
    thread = threading.Thread(target=lambda: found.append(train(total_kimg=0.064).finished))
    thread.start()
    thread.join()
    assert found == [True]


@pytest.mark.slow  # trains twice
def test_the_command_and_the_function_train_the_same_bits(blocks, tmp_path):
    arguments = [f"--outdir={tmp_path / 'command'}", f"--dataset={blocks}", *jobs.TINY]
    arguments += ["--total_kimg=0.128", "--config.schedule.minibatch_base=8", "--seed=5"]
    before = flagsaver.save_flag_values(train_flags.FLAGS)
    try:
        with flagsaver.flagsaver():
            train_command.run(train_config.parse(["train.py", *arguments]))
    finally:
        flagsaver.restore_flag_values(before, train_flags.FLAGS)
    names = (argument.partition("=") for argument in jobs.TINY)
    options = {name.removeprefix("--config.").removeprefix("--"): x for name, _, x in names}
    options |= {"gpus": 0, "minibatch_base": 8, "seed": 5, "outdir": tmp_path / "function"}
    run = pgtf.train(blocks, total_kimg=0.128, **options)
    found, expected = (jobs.snapshot_arrays(tmp_path / x) for x in ("function", "command"))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert run.fakes.size == (256, 128)
    assert run.reals.size == (256, 128)
    assert [(grid.kimg, grid.image.size) for grid in run.growth] == [(0, (256, 128))]
    assert run.metrics == {}


@pytest.mark.slow  # starts TensorFlow in a process of its own
def test_sigterm_ends_the_process_after_a_checkpoint(blocks, tmp_path):
    code = (
        "import os, pgtf, signal\n"
        "def kill(stats): os.kill(os.getpid(), signal.SIGTERM)\n"
        f"pgtf.train({str(blocks)!r}, total_kimg=9, callbacks=[kill], **{TINY})\n"
        "print('never')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert "never" not in done.stdout
    assert list((tmp_path / "results").glob("000-*/checkpoint/checkpoint-*.h5"))

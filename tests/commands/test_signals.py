"""SIGINT and SIGTERM end every command with one line and 128 + their number, at any time."""

import logging
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from pgtf.config import PRESETS
from pgtf.distribution import signals
from pgtf.interop import save_snapshot
from pgtf.runs import run_folder
from tests import tiny
from tests.training import jobs

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUM_INSTANTS = 20


def start(*arguments):
    # conftest.py sets a level at which TensorFlow says that there is no GPU.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code):
    process = start("-c", "import os, signal\nfrom pgtf.distribution import signals\n" + code)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs Linux")
@pytest.mark.parametrize("signum", signals.SIGNALS, ids=lambda signum: signum.name)
def test_a_signal_while_tensorflow_is_imported_is_one_line(signum, tmp_path):
    script = {signal.SIGINT: ["train.py"], signal.SIGTERM: ["-m", "metrics", f"--reals={ROOT}"]}
    process = start(*script[signum], f"--outdir={tmp_path}")
    try:
        while "libtensorflow" not in pathlib.Path(f"/proc/{process.pid}/maps").read_text():
            assert process.poll() is None
        process.send_signal(signum)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    begin = "Loading TensorFlow ...\n"
    assert (process.returncode, out, err) == (128 + signum, begin, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_before_the_work_ends_the_process_even_where_exceptions_are_lost():
    code = "signals.exit_on_signals()\ntry: signal.raise_signal(15)\nexcept BaseException: pass\n"
    assert run(code) == (143, "", "interrupted\n")


def test_standard_error_may_lead_elsewhere_or_nowhere():
    code = "signals.exit_on_signals()\nos.dup2(os.open(os.devnull, 1), 2)\nsignal.raise_signal(2)\n"
    assert run(code) == (130, "", "interrupted\n")
    closed = "os.close(2)\nsignals.exit_on_signals()\nsignal.raise_signal(2)\n"
    assert run(closed) == (130, "", "")


# SIGINT while Python imports what handles it: the first import of the commands that takes a while.
# Processes of a shell in the background begin with SIGINT ignored.
EARLY = """
import _signal, builtins, runpy, sys

_signal.signal(_signal.SIGINT, _signal.default_int_handler)

def import_(name, *rest, original=builtins.__import__, **named):
    if name == "signal":
        signum = original("_signal").SIGINT
        original("_signal").raise_signal(signum)
    return original(name, *rest, **named)

sys.modules.pop("signal", None)
sys.argv = sys.argv[1:]
builtins.__import__ = import_
if sys.argv[0].endswith(".py"):
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("script", ["train.py", "metrics", "pgtf", "pgtf.restoration"])
def test_a_signal_before_its_handler_is_there_is_one_line(script):
    process = start("-c", EARLY, script, "--help")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


LOST = """
class Lost:
    def __del__(self):
        signal.raise_signal(2)

with signals.stopped_by_signals():
    Lost()
    print("went on", flush=True)
"""


def test_a_signal_whose_exception_python_can_only_print_ends_the_process():
    assert run(LOST) == (130, "", "interrupted\n")


TWICE = """
with signals.stopped_by_signals():
    try:
        signal.raise_signal(15)
    finally:
        signal.raise_signal(2)
        print("went on", flush=True)
"""


def test_a_second_signal_does_not_wait_for_the_first():
    assert run(TWICE) == (130, "", "interrupted\n")


def test_an_error_that_a_library_makes_of_the_interruption_is_no_error():
    def read():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise OSError("could not read") from None

    with pytest.raises(signals.Stopped) as stop, signals.stopped_by_signals():
        read()
    assert stop.value.signum == signal.SIGTERM


def test_an_error_without_a_signal_stays_what_it_is():
    with pytest.raises(OSError, match="could not read"), signals.stopped_by_signals():
        raise OSError("could not read")


@pytest.mark.parametrize(
    ("stop", "code"), [(KeyboardInterrupt(), 130), (signals.Stopped(signal.SIGTERM), 143)]
)
def test_the_code_is_that_of_shells_and_the_line_says_what_is_left(stop, code, capsys):
    with pytest.raises(SystemExit) as ended:
        signals.exit_after(stop, "; all is well.")
    assert ended.value.code == code
    assert capsys.readouterr().err == "interrupted; all is well.\n"


def test_tensorflow_reports_no_errors_of_what_a_signal_cuts_short(tensorflow_logger):
    """It would log 24 lines for results that nobody took, because their function ended early."""
    assert tensorflow_logger.isEnabledFor(logging.ERROR)
    with pytest.raises(signals.Stopped), signals.stopped_by_signals():
        signal.raise_signal(signal.SIGINT)
    assert not tensorflow_logger.isEnabledFor(logging.ERROR)


COMMANDS = {
    "train": "train.py --preset=demo --gpus=0 --dataset={dataset} --outdir={tmp}/runs --new",
    "images": "generate.py images --outdir={runs} --seeds=0-20000 --out={tmp}/images --overwrite",
    "grid": "generate.py grid --outdir={runs} --seeds=0-20000 --out={tmp}/grid.png --overwrite",
    "video": "generate.py video --outdir={runs} --seconds=600 --out={tmp}/film.gif --overwrite",
    "export": "generate.py export --outdir={runs} --out={tmp}/served",
    "dataset": "dataset_tool.py create_demo {tmp}/demo --num_images=50000",
    "metrics": "-m metrics --metrics=swd:40 --outdir={runs} --dataset={dataset} --no_cache",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A dataset of 16x16 images, and a folder with a run that has a snapshot."""
    folder = tmp_path_factory.mktemp("folders")
    jobs.write_blocks(folder / "blocks", resolution_log2=4)
    run_of = folder / "runs" / "000-blocks-demo"
    run_of.mkdir(parents=True)
    config = PRESETS["demo"].replace({"dataset.path": str(folder / "blocks")})
    run_folder.store_config(run_of, config)
    save_snapshot(
        run_of / "network-snapshot-000001.h5",
        *(tiny.generator(), tiny.discriminator(), tiny.generator()),
    )
    return folder / "runs", folder / "blocks"


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_signals_at_random_instants_are_one_line(command, folders, tmp_path):
    runs, dataset = folders
    draw = random.Random(command)
    line = COMMANDS[command].format(runs=runs, dataset=dataset, tmp=tmp_path)
    for i in range(NUM_INSTANTS):
        signum = signals.SIGNALS[i % 2]
        process = start(
            *line.split(), *(["--resume"] if (tmp_path / "demo.partial").exists() else [])
        )
        time.sleep(draw.uniform(0.1, 12))
        os.killpg(process.pid, signum)  # as a terminal does
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:  # It was faster, and what it wrote would be in the way.
            shutil.rmtree(tmp_path / "demo", ignore_errors=True)
            continue
        assert process.returncode == 128 + signum, err
        # Training that has begun says in its log how it continues.
        said = err.splitlines() or out.splitlines()[-1:]
        words = [text.partition(" ")[0].strip(".;") for text in said]
        assert words in (["interrupted"], ["Stopped"]), err

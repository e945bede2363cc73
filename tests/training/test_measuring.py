"""Measurements between ticks: after a checkpoint, stopped by signals, recorded exactly once."""

import json
import signal
import threading

import pytest

from pgtf.distribution import interrupt
from pgtf.distribution.interrupt import Interrupt
from pgtf.distribution.signals import Stopped, stopped_by_signals
from pgtf.metrics import records
from pgtf.runs.checkpoints import newest_first
from pgtf.training import loop, ticks
from pgtf.training.loop import RunOptions
from tests.training import jobs

pytestmark = pytest.mark.usefixtures("without_graphs")


class Killed(Exception):
    """Stands for a process that ends without a word."""


class Sums:
    """A measurement: the lod and the sum of the weights of Gs, one line per snapshot.

    `meanwhile` maps images shown to a function that is called during the measurement.
    """

    def __init__(self, folder, meanwhile=None, while_recording=None):
        self._path = folder / "metric-sum.jsonl"
        self._meanwhile, self._while_recording = meanwhile or {}, while_recording or {}
        self.checked = []

    def lines(self):
        text = self._path.read_text() if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def is_due(self, cur_nimg, final):
        return True

    def is_recorded(self, cur_nimg):
        return cur_nimg in [nimg for nimg, *_ in self.lines()]

    def measure(self, state, check):
        nimg = state.progress.cur_nimg
        found = float(sum(x.numpy().sum() for x in state.Gs.variables_by_name.values()))
        self._meanwhile.get(nimg, int)()
        check()
        self.checked.append(nimg)
        return [nimg, state.Gs.lod, found]

    def record(self, found):
        self._while_recording.get(found[0], int)()
        with open(self._path, "a") as file:
            file.write(json.dumps(found) + "\n")


def train(config, dataset, strategy, folder, **meanwhile):
    """Runs the loop without checkpoints by time. Returns its result and the measurement."""
    measurement = Sums(folder, **meanwhile)
    options = RunOptions(measurements=[measurement])
    return loop.run(config, dataset, strategy, folder, options), measurement


def contents(folder):
    """All that a run leaves but times and its checkpoints."""
    lines = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    found = {path.name: path.read_bytes() for path in folder.glob("*.h5")}
    found["stats"] = [{k: v for k, v in x.items() if k not in ticks.TIME_FIELDS} for x in lines]
    return found | {"sums": Sums(folder).lines(), "finished": (folder / "finished").exists()}


@pytest.fixture(scope="module")
def ends():
    """Images shown at the ends of ticks: in the fade, and twice after it."""
    return [96, 192, 288]


@pytest.fixture(scope="module")
def undisturbed(config, ends, dataset, strategy, tmp_path_factory, without_graphs):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert train(config, dataset, strategy, folder)[0] is None
    found = contents(folder)
    assert [nimg for nimg, *_ in found["sums"]] == ends
    assert found["finished"]
    assert len(found) == 4  # a snapshot, statistics, sums, the mark
    return found


@pytest.mark.parametrize("number", [0, 2])
def test_a_signal_stops_a_measurement_and_the_same_command_makes_it(
    config, ends, dataset, strategy, undisturbed, tmp_path, number
):
    seen, nimg = {}, ends[number]

    def stop():
        seen["checkpoint"] = newest_first(tmp_path / "checkpoint")[0].name
        seen["ticks"] = len((tmp_path / "stats.jsonl").read_text().splitlines())
        signal.raise_signal(signal.SIGTERM)

    result, sums = train(config, dataset, strategy, tmp_path, meanwhile={nimg: stop})
    assert result == signal.SIGTERM
    assert seen == {"checkpoint": f"checkpoint-{nimg:09d}.h5", "ticks": number + 1}
    assert sums.checked == ends[:number]
    assert len(sums.lines()) == number
    assert not (tmp_path / "finished").exists()
    result, sums = train(config, dataset, strategy, tmp_path)
    assert (result, sums.checked) == (None, ends[number:])
    assert contents(tmp_path) == undisturbed


@pytest.mark.parametrize("when", ["meanwhile", "while_recording"])
def test_a_run_killed_during_a_measurement_loses_and_repeats_nothing(
    config, ends, dataset, strategy, undisturbed, tmp_path, when
):
    def kill():
        raise Killed

    with pytest.raises(Killed):
        train(config, dataset, strategy, tmp_path, **{when: {ends[1]: kill}})
    assert newest_first(tmp_path / "checkpoint")[0].name == f"checkpoint-{ends[1]:09d}.h5"
    result, sums = train(config, dataset, strategy, tmp_path)
    assert (result, sums.checked) == (None, ends[1:])
    assert contents(tmp_path) == undisturbed


@pytest.mark.parametrize("number", [0, 2])
def test_a_signal_waits_for_the_line_that_is_being_recorded(
    config, ends, dataset, strategy, undisturbed, tmp_path, number
):
    def stop():
        signal.raise_signal(signal.SIGINT)

    stops = {ends[number]: stop}
    result, sums = train(config, dataset, strategy, tmp_path, while_recording=stops)
    assert sums.is_recorded(ends[number])
    if number == 2:  # Nothing was left to do.
        assert result is None
    else:
        assert result == signal.SIGINT
        result, sums = train(config, dataset, strategy, tmp_path)
        assert (result, sums.checked) == (None, ends[number + 1 :])
    assert contents(tmp_path) == undisturbed


@pytest.mark.slow
def test_sigterm_during_a_metric_ends_train_py_and_the_same_command_measures(tmp_path):
    jobs.write_blocks(tmp_path / "blocks", num_images=4096, resolution_log2=4)
    arguments = [
        *jobs.TINY,
        f"--dataset={tmp_path / 'blocks'}",
        "--config.schedule.lod_initial_resolution=4",
        "--config.schedule.lod_training_kimg=9",
        "--config.schedule.tick_kimg_base=1",
        "--config.schedule.tick_kimg_dict=4:1",
        "--config.schedule.minibatch_dict=4:8",
        "--config.training.network_snapshot_ticks=1",
        "--total_kimg=2",
        "--metrics=swd:4k,msssim:256",
    ]

    def begin(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return jobs.start((*arguments, f"--outdir={tmp_path / name}"), tmp_path / f"{name}.txt")

    def has_checkpoint(nimg):
        found = (tmp_path / "disturbed").glob(f"*/checkpoint/checkpoint-{nimg:09d}.h5")
        return any(found) and not list(tmp_path.glob("disturbed/*/metric-*"))

    assert jobs.wait([begin("undisturbed")]) == [0]
    process = begin("disturbed")
    jobs.wait_for(lambda: has_checkpoint(1000), process)
    process.send_signal(signal.SIGTERM)
    assert jobs.wait([process]) == [143]
    said = (tmp_path / "disturbed.txt").read_text()
    assert "To continue: " in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("disturbed/*/metric-*"))
    assert jobs.wait([begin("disturbed")]) == [0]
    for name in ("swd", "msssim"):
        one, other = (
            [(r["nimg"], r["snapshot"], r["values"]) for r in records.load(folder, name)]
            for outdir in ("undisturbed", "disturbed")
            for folder in (tmp_path / outdir).iterdir()
        )
        assert one == other
        assert [nimg for nimg, *_ in one] == [1000, 2000]


class TwoWorkers:
    """Workers that are threads of this process."""

    def __init__(self):
        self._barrier, self._values = threading.Barrier(2, timeout=30), {}

    def worker(self, index):
        class Worker:
            is_chief = index == 0

            def all_reduce_sum(_, values):
                self._values[index] = list(values)
                self._barrier.wait()
                sums = [sum(pair) for pair in zip(*self._values.values(), strict=True)]
                self._barrier.wait()
                return sums

        return Worker()


def test_a_signal_to_another_worker_stops_the_work_of_the_chief(monkeypatch):
    monkeypatch.setattr(interrupt, "AGREE_SEC", 0)
    job = TwoWorkers()
    chief, other = (Interrupt(job.worker(index)) for index in (0, 1))
    waiting = threading.Thread(target=other.run_on_chief, args=(lambda check: None,))
    waiting.start()
    done = []

    def work(check):
        for number in range(10):
            if number == 4:
                other._noted = signal.SIGTERM  # Its main thread would note it between exchanges.
            check()
            done.append(number)

    with chief:
        chief.run_on_chief(work)
    waiting.join(30)
    assert (chief.signum, other.signum) == (signal.SIGTERM, signal.SIGTERM)
    assert done in ([0, 1, 2, 3], [0, 1, 2, 3, 4])  # It may have been asked just before.


def test_workers_wait_for_work_without_a_signal_and_for_work_that_fails():
    for error in (None, OSError):
        job = TwoWorkers()
        chief, other = (Interrupt(job.worker(index)) for index in (0, 1))
        waiting = threading.Thread(target=other.run_on_chief, args=(lambda check: None,))
        waiting.start()

        def work(check, error=error):
            if error is not None:
                raise error

        if error is None:
            chief.run_on_chief(work)
        else:
            with pytest.raises(error):
                chief.run_on_chief(work)
        waiting.join(30)
        assert not waiting.is_alive()
        assert (chief.signum, other.signum) == (None, None)


def test_a_second_signal_during_a_measurement_has_the_effect_that_it_has_outside():
    job = Interrupt(Alone())

    def work(check):
        signal.raise_signal(signal.SIGTERM)

    with stopped_by_signals(), job:
        job.run_on_chief(work)
        assert job.signum == signal.SIGTERM
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)


class Alone:
    """The only worker."""

    is_chief = True

    def all_reduce_sum(self, values):
        return list(values)


def test_every_second_snapshot_and_the_last_are_measured_and_the_best_is_kept(run, tmp_path):
    jobs.write_blocks(tmp_path / "blocks", resolution_log2=4)
    options = (
        f"--dataset={tmp_path / 'blocks'}",
        *jobs.TINY,
        "--config.schedule.minibatch_base=40",
        "--config.schedule.G_lrate_base=1e-6",  # so that images stay images
        "--config.schedule.G_lrate_dict=none",
        "--config.schedule.lod_initial_resolution=4",
        "--config.schedule.lod_training_kimg=9",
        "--config.schedule.tick_kimg_base=1",
        "--config.training.network_snapshot_ticks=1",
        "--total_kimg=3",
        "--metrics=swd:32,msssim:32@every=2",
    )
    assert run(*options)[0] == 0
    (folder,) = (tmp_path / "results").iterdir()
    found = list(map(json.loads, (folder / "metric-swd.jsonl").read_text().splitlines()))
    assert [record["kimg"] for record in found] == [2, 3]
    assert {(record["num_images"], record["lod"]) for record in found} == {(32, 2.0)}
    assert found[0]["values"].keys() == {"swd", "swd_16"}
    assert (folder / "metric-msssim.jsonl").exists()
    best = min(found, key=lambda record: record["value"])["snapshot"]
    assert (folder / "best-swd.h5").read_bytes() == (folder / best).read_bytes()

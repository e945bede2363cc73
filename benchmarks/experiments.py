"""Scaled-down experiments: less time, fewer feature maps, any dataset. See benchmarks.paper."""

import dataclasses
import json
import pathlib
import time

from pgtf import files, images, lazy
from pgtf.config import PRESETS, Config
from pgtf.metrics import image_sets
from pgtf.metrics.modes import CLASSIFIER
from pgtf.metrics.plan import parse_plan
from pgtf.runs import run_folder
from pgtf.runs.identity import Source
from pgtf.training import plan

# The command line of benchmarks.paper does without them.
calls = lazy.Module("pgtf.training.calls")
checkpoints = lazy.Module("pgtf.runs.checkpoints")
loop = lazy.Module("pgtf.training.loop")
setup = lazy.Module("pgtf.metrics.setup")
states = lazy.Module("pgtf.training.state")
steppers = lazy.Module("pgtf.training.stepper")
workers = lazy.Module("pgtf.distribution.workers")

SMOOTHING_POWER = 10  # Gs forgets so much faster: 0.999 would span most of a short run
_ENDLESS_KIMG = 1e9
_GRID = 8  # generated images in a row and in a column of the picture that is kept


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table: a preset with changes."""

    name: str
    preset: str
    changes: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Scale:
    """Scale of an experiment, relative to the paper."""

    kimg: float  # factor of everything counted in images
    fmap_max: int  # most feature maps in the paper's networks; fewer where it has fewer
    seed: int


def scaled(row, dataset, scale):
    """The Config of a row on this dataset."""
    config = PRESETS[row.preset]
    schedule, training = config.schedule, config.training
    total_kimg = training.total_kimg * scale.kimg
    changes = {
        "dataset.path": dataset.path,
        "dataset.resolution": None,
        "schedule.lod_training_kimg": schedule.lod_training_kimg * scale.kimg,
        "schedule.lod_transition_kimg": schedule.lod_transition_kimg * scale.kimg,
        "schedule.lrate_rampup_kimg": schedule.lrate_rampup_kimg * scale.kimg,
        "schedule.tick_kimg_base": total_kimg / 10,
        "schedule.tick_kimg_dict": {},
        "training.total_kimg": total_kimg,
        "training.G_smoothing": training.G_smoothing**SMOOTHING_POWER,
        "training.seed": scale.seed,
    }
    if config.G.structure == "paper":
        for network in "GD":
            options = getattr(config, network)
            ratio = min(scale.fmap_max / options.fmap_max, 1)
            changes[f"{network}.fmap_base"] = round(options.fmap_base * ratio)
            changes[f"{network}.fmap_max"] = min(scale.fmap_max, options.fmap_max)
    fitted = config.replace(changes | row.changes)
    shape = (dataset.resolution_log2, dataset.num_channels, dataset.label_size)
    fitted = fitted.for_dataset(*shape, num_gpus=1)
    fitted.check()
    return fitted


def evaluator_of(dataset, text, seed):
    """An evaluator of `text` ("swd:1024,modes:2048") against a dataset."""
    options = setup.MetricOptions(seed=seed)
    reals = image_sets.of_dataset(dataset)
    return setup.make_evaluator(parse_plan(text), reals, options, dataset_folder=dataset.path)


def has_classifier(dataset):
    """True if the dataset has a classifier, so that modes can be counted."""
    return (pathlib.Path(dataset.path) / CLASSIFIER).exists()


def measure(evaluator, Gs, name, seed):
    """{name of a value: value} of everything the evaluator measures."""
    values = {}
    for record in evaluator(image_sets.of_network(name, Gs, seed)):
        values |= record["values"]
    return values


def train(config, dataset, strategy, folder):
    """Trains in a run folder, or continues there: -> (TrainingState at the end, seconds, kimg).

    Raises:
        KeyboardInterrupt: after SIGINT or SIGTERM; the same call continues.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = folder / run_folder.CONFIG_FILE
    if stored.exists() and Config.from_json(stored.read_text()) != config:
        raise ValueError(f"{folder} is of another configuration. Choose another --outdir.")
    files.write_atomically(stored, config.to_json().encode())
    ended = []

    def keep(tick, state, final):
        if final:
            ended.append(state)

    signum = loop.run(
        config, dataset, strategy, folder, loop.RunOptions(callbacks=[keep], checkpoint_sec=60)
    )
    if signum is not None:
        raise KeyboardInterrupt
    if not ended:  # it had been trained, but not measured
        state = states.TrainingState(config, strategy)
        stored = checkpoints.Checkpoints(
            folder / run_folder.CHECKPOINT_FOLDER,
            config,
            Source.of(dataset),
            workers.Workers(strategy),
        )
        stored.restore(state)
        ended.append(state)
    state = ended[-1]
    return state, state.progress.train_sec, state.progress.cur_nimg / 1000


def train_for(config, dataset, strategy, seconds, num_looks, look):
    """Trains for a time rather than a number of images, without files.

    The time is that of all processors, so that other work on the machine does not count. What the
    first call of each fade and of each stable phase takes is left out: most of it is tracing.

    Args:
        seconds: of processor time in training.
        num_looks: how many times `look` is called, at equal distances of time; the last is at the
            end.
        look: function of (TrainingState, seconds trained).
    """
    config = config.replace({"training.total_kimg": _ENDLESS_KIMG})
    state, stepper = begin(config, dataset, strategy)
    spent, seen, looks = 0.0, set(), 0
    while looks < num_looks:
        call, call_sec = run_next(state, stepper, config)
        traced = (call.now.resolution, call.now.minibatch, min(call.alphas) < 1)
        if traced in seen:
            spent += call_sec
        seen.add(traced)
        if spent >= seconds * (looks + 1) / num_looks:
            look(state, spent)
            looks += 1


def begin(config, dataset, strategy):
    """Makes the state of a run without files, and what trains it: -> TrainingState, Stepper."""
    state = states.TrainingState(config, strategy)
    return state, steppers.Stepper(state, config, dataset, strategy)


def run_next(state, stepper, config, num_evaluations=None):
    """Runs the next call, as training does: -> Call, seconds of processor time.

    Args:
        state: TrainingState, which the call moves on.
        stepper: what runs calls on it.
        config: Config of the run.
        num_evaluations: evaluations of the schedule in the call; None = as in training on CPUs.
    """
    nimg, started = state.progress.cur_nimg, time.process_time()
    calls.enter_stage(state, config.schedule.at(nimg), config.training)
    counts = (num_evaluations, num_evaluations)
    call = plan.next_call(config.schedule, config.training, nimg, nimg, *counts)
    stepper.run(call)
    state.progress.cur_nimg = call.end_nimg
    calls.set_lod(state, call.now)
    return call, time.process_time() - started


def save_picture(path, Gs, seed):
    """Keeps a grid of generated images."""
    fakes = image_sets.of_network(path.name, Gs, seed).read(0, _GRID * _GRID)
    images.save_image_grid(path, images.to_float(fakes), (_GRID, _GRID))


def append(path, record):
    """Adds one JSON line to a file."""
    with open(path, "a") as file:
        file.write(json.dumps(record) + "\n")

"""Repeats a training run of the original release from its stored random draws and reals.

Everything else is the real thing: schedule, plan, resets, the traced steps, networks, Adam and the
moving average. Only the random sources and the reader of the dataset are replaced.
"""

import contextlib
import dataclasses
import functools
import json

import numpy as np
import tensorflow as tf

from pgtf import images
from pgtf.config import Config
from pgtf.dataset import pipeline
from pgtf.interop import weights
from pgtf.label_groups import one_class
from pgtf.training import calls, plan, randomness
from pgtf.training.randomness import Stream
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests.reference.cases import arrays, find, networks, nhwc, perturb

DRAWS = {
    Stream.D_LATENTS: "D_latents",
    Stream.MIXING: "mix",
    Stream.MIRROR: "mirror_u",
    Stream.G_LATENTS: "G_latents",
}
WHERE = {"train": "training", "sched": "schedule", "G": "G", "D": "D"}  # parts of the configuration


@dataclasses.dataclass
class Run:
    """Record of a repeated run, by iteration (from 1)."""

    losses: dict[int, dict[str, float]]  # {1: {"D_loss": ..., "G_loss": ...}}
    weights: dict[int, dict[str, dict[str, np.ndarray]]]  # {1: {"Gs": {"4x4/Conv/weight": array}}}
    steps: dict[int, dict[str, float]]  # {1: {"minibatch": ..., "alpha": ..., ...}}
    resets: list[int]  # iterations done when an optimizer was reset


@functools.lru_cache
def replay(path, perturbation):
    """Repeats the run described by traj-NAME.json: -> Run.

    Args:
        path: the JSON file.
        perturbation: seed of a change of the initial weights by rounding, or 0 for none.
    """
    case, described = arrays(path.with_suffix(".npz")), json.loads(path.read_text())
    config = config_of(described["config"])
    strategy = tf.distribute.get_strategy()
    state = TrainingState(config, strategy)
    start(state, case, path)
    if perturbation:
        perturb(state.networks().values(), np.random.default_rng(perturbation))
    run = Run({}, {}, {}, [])
    snapshots = {int(key[7:10]) for key in case if key.startswith("weights")}
    source = StoredSource(config, case, len(described["steps"]))
    with source.replacing_randomness():
        stepper = Stepper(state, config, source, strategy)
        record_resets(state, run)
        last = len(described["steps"])
        while len(run.steps) < last:
            for call in next_iterations(state, config):
                if len(run.steps) < last:
                    iterate(call, state, stepper, run, snapshots)
    return run


def iterate(call, state, stepper, run, snapshots):
    (row,) = stepper.run(call)
    state.progress.cur_nimg = call.end_nimg
    index = len(run.steps) + 1
    run.steps[index] = {
        "resolution": call.now.resolution,
        "minibatch": call.now.minibatch,
        "alpha": call.alphas[0],
        "lrate": call.G_lrates[0],
    }
    values = dict(zip(stepper.statistics, map(float, row), strict=True))
    assert values["skipped"] == 0
    run.losses[index] = {name: values[name] for name in ("D_loss", "G_loss")}
    if index in snapshots:
        run.weights[index] = {
            kind: weights.to_arrays(network) for kind, network in state.networks().items()
        }


def next_iterations(state, config):
    """Plans as the training loop does, and cuts the plan into single iterations."""
    progress = state.progress
    call = plan.next_call(config.schedule, config.training, progress.cur_nimg, 0)
    calls.enter_stage(state, config.schedule.at(progress.cur_nimg), config.training)
    for index, end in enumerate([*call.nimgs[1:], call.end_nimg]):
        fields = {field.name: getattr(call, field.name) for field in dataclasses.fields(call)}
        lists = {k: [v[index]] for k, v in fields.items() if isinstance(v, list)}
        yield dataclasses.replace(call, **lists, end_nimg=end)


def record_resets(state, run):
    for optimizer in (state.G_opt, state.D_opt):

        def reset(original=optimizer.reset):
            run.resets.append(len(run.steps))
            original()

        optimizer.reset = reset


def config_of(described):
    """Our configuration for the original's options; what is missing there is our default."""
    changes = {}
    for part, options in described.items():
        if part == "ds":
            continue
        for name, value in options.items():
            if isinstance(value, dict):
                value = {int(key): item for key, item in value.items()}
            where = "dataset" if name == "mirror_augment" else WHERE[part]
            changes[f"{where}.{name}"] = value
    dataset = described["ds"]
    config = Config().for_dataset(
        dataset["resolution"].bit_length() - 1, dataset["num_channels"], dataset["label_size"], 1
    )
    return config.replace(changes)


def start(state, case, path):
    """Stored initial weights, or those of the pickle after which the run is named: traj-a-..."""
    if any(key.startswith("weights000/") for key in case):
        for kind, network in state.networks().items():
            stored = "G" if kind == "Gs" else kind  # Gs starts as a copy of G
            prefix = f"weights000/{stored}/"
            initial = {k.removeprefix(prefix): case[k] for k in case if k.startswith(prefix)}
            initial.pop("lod", None)
            weights.assign(network, initial, path)
    else:
        (pickle,) = find(f"networks/net-{path.stem.split('-')[1]}-nosrc.pkl")
        for kind, network in networks(pickle).items():
            state.networks()[kind].copy_weights_from(network)


class StoredSource:
    """Stands for the dataset and for the random draws of a run."""

    def __init__(self, config, case, num_steps):
        self.label_size = config.D.label_size
        self.label_groups = one_class(self.label_size)
        self.value_range = images.UINT8_DRANGE
        self._config = config
        self._steps = [
            {key.split("/")[1]: case[key] for key in case if key.startswith(f"step{n:03d}/")}
            for n in range(1, num_steps + 1)
        ]
        sizes = [len(step["reals"]) for step in self._steps]
        self._nimgs = np.cumsum([0, *sizes[:-1]])  # images shown before each step
        self._G_labels = np.concatenate([step["G_labels"] for step in self._steps])
        self.num_images = len(self._G_labels)

    def read_labels(self, _):
        """All labels: here those that the original drew for G, in order."""
        return self._G_labels

    def batches(self, _, *, minibatch, position, **__):
        """Stands for pipeline.batches: the stored minibatches of one size from a position on."""
        elements = []
        for nimg, step in zip(self._nimgs, self._steps, strict=True):
            if nimg >= position:
                if len(step["reals"]) != minibatch or (
                    elements and elements[-1][0].shape != step["reals"].shape
                ):
                    break
                elements.append((step["reals"], step["labels"]))
        reals, labels = (np.concatenate(arrays) for arrays in zip(*elements, strict=True))
        stream = tf.data.Dataset.from_tensor_slices((nhwc(reals), labels))
        return stream.batch(minibatch, drop_remainder=True)

    def replacing_randomness(self):
        """A context in which training draws the stored values."""
        return replaced(
            (randomness, "normal", self._draw),
            (randomness, "uniform", self._draw),
            (pipeline, "batches", self.batches),
        )

    def _draw(self, shape, _, nimg, purpose):
        """Stored values for the step that begins after `nimg` images; may be traced."""
        at = [i for i, step in enumerate(self._steps) if len(step["reals"]) == shape[0]]
        which = tf.argmax(tf.cast(tf.equal(self._nimgs[at], tf.cast(nimg, tf.int64)), tf.int32))
        if purpose is Stream.G_LABELS:
            # A place in all labels, as a share of them; half an element avoids rounding.
            places = [self._nimgs[i] + np.arange(shape[0]) + 0.5 for i in at]
            values = np.float32(np.stack(places) / self.num_images)
        else:
            values = np.stack([self._steps[i][DRAWS[purpose]] for i in at])
        assert values.shape[1:] == tuple(shape)
        return tf.constant(values)[which]


@contextlib.contextmanager
def replaced(*changes):
    """Gives attributes of modules other values for a while: (module, name, value)."""
    originals = [(module, name, getattr(module, name)) for module, name, _ in changes]
    try:
        for module, name, value in changes:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in originals:
            setattr(module, name, value)

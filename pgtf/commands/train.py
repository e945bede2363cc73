"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8

Without flags it trains the demo preset on the demo dataset, which it draws first. The same command
again continues an unfinished run.
"""

import contextlib
import os
import re
import shlex
import signal
import sys

from absl import flags, logging

from pgtf import config as configs
from pgtf.commands.command_line import one_line_errors
from pgtf.config import EXPERIMENTS, PRESETS, catalogue
from pgtf.dataset.sources import demo
from pgtf.distribution import all_reduce_check
from pgtf.distribution.interrupt import Stopped, stopped_by_signals
from pgtf.distribution.strategy import ALL_REDUCE, describe_devices, num_replicas, num_workers
from pgtf.distribution.workers import WorkerLost, Workers, losses_noticed
from pgtf.metrics import during_training, inception
from pgtf.metrics.measures import MEASURES
from pgtf.metrics.setup import CLASSIFIER, MetricOptions
from pgtf.runs import log, run_folder
from pgtf.training import loop, precision, prepare
from pgtf.training.probe import probe
from pgtf.training.tables import cost_table, stage_table

FLAGS = flags.FlagValues()  # of this command alone, so that importing it defines nothing globally

_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "Folder made by dataset_tool.py (default: the preset's, datasets/demo).",
    flag_values=FLAGS,
)
_PRESET = flags.DEFINE_string(
    "preset",
    None,
    f"Base configuration: {', '.join(name for name in PRESETS if name not in EXPERIMENTS)}, or one "
    "of --list_presets (default: demo; with --dataset the v2 preset of --gpus).",
    flag_values=FLAGS,
)
_GPUS = flags.DEFINE_integer(
    "gpus",
    None,
    "GPUs to train on, 0 = CPU (default: 1 if there is one).",
    lower_bound=0,
    flag_values=FLAGS,
)
_CPU_REPLICAS = flags.DEFINE_integer(
    "cpu_replicas",
    0,
    "N > 0 splits the CPU into N replicas (default: 0).",
    lower_bound=0,
    flag_values=FLAGS,
)
_ALL_REDUCE = flags.DEFINE_enum(
    "all_reduce",
    "auto",
    ALL_REDUCE,
    "How gradients are summed over replicas; with TF_CONFIG auto, ring or nccl (default: auto).",
    flag_values=FLAGS,
)
_OUTDIR = flags.DEFINE_string(
    "outdir",
    "results",
    "Folder that receives <number>-<dataset>-<preset>/ (default: results).",
    flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer(
    "seed", None, "Of weights, data order, latents (default: 1000).", flag_values=FLAGS
)
_TOTAL_KIMG = flags.DEFINE_float(
    "total_kimg",
    None,
    "Length of training, thousands of images (default: the preset's).",
    flag_values=FLAGS,
)
_GRAD_ACCUMULATION = flags.DEFINE_integer(
    "grad_accumulation",
    None,
    "K > 1 keeps the minibatch but holds only a K-th of it in memory at a time (default: 1).",
    flag_values=FLAGS,
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    None,
    ["fp32", "tf32", "bf16", "fp16"],
    "What convolutions compute with; tf32 and fp16 are for GPUs (default: the preset's, fp32).",
    flag_values=FLAGS,
)
_JIT = flags.DEFINE_enum(
    "jit",
    None,
    ["auto", "on", "off"],
    "Whether XLA compiles the gradients; auto measures both on GPUs, off on CPUs (default: auto).",
    flag_values=FLAGS,
)
_PROFILE = flags.DEFINE_integer(
    "profile",
    0,
    "Iterations to record as a TensorBoard trace (default: 0).",
    lower_bound=0,
    flag_values=FLAGS,
)
_CHECKPOINT_MINUTES = flags.DEFINE_float(
    "checkpoint_minutes",
    10,
    "Most work that a crash can cost, in minutes (default: 10).",
    flag_values=FLAGS,
)
_RESUME_PKL = flags.DEFINE_string(
    "resume_pkl",
    None,
    "Begin with the networks of a pickle or snapshot (default: new ones).",
    flag_values=FLAGS,
)
_RESUME_KIMG = flags.DEFINE_float(
    "resume_kimg",
    0,
    "With --resume_pkl: thousands of images they have seen (default: 0).",
    flag_values=FLAGS,
)
_ALLOW_CONFIG_CHANGE = flags.DEFINE_bool(
    "allow_config_change",
    False,
    "Continue a run although options differ (default: no).",
    flag_values=FLAGS,
)
_PREEMPT_EXIT_CODE = flags.DEFINE_integer(
    "preempt_exit_code", None, "Exit code after SIGTERM (default: 143).", flag_values=FLAGS
)
_ON_DIVERGENCE = flags.DEFINE_enum(
    "on_divergence",
    "stop",
    ["stop", "rollback"],
    "When gradients stay non-finite: stop, or go back to the last checkpoint and continue with "
    "other random draws (default: stop).",
    flag_values=FLAGS,
)
_METRICS = flags.DEFINE_string(
    "metrics",
    None,
    f"What to measure snapshots by, NAME[:NUMBER[k]],...[@every=N], of {', '.join(MEASURES)} "
    "(default: nothing).",
    flag_values=FLAGS,
)
_INCEPTION = flags.DEFINE_string(
    "inception",
    None,
    f"With --metrics: {inception.GRAPH_NAME} (default: in ~/.cache/pgtf).",
    flag_values=FLAGS,
)
_INCEPTION_SHA256 = flags.DEFINE_string(
    "inception_sha256", None, "Refuse another file than this (default: any).", flag_values=FLAGS
)
_FID_MODE = flags.DEFINE_enum(
    "fid_mode",
    "legacy",
    inception.MODES,
    "How images are resized for Inception (default: legacy, as the original).",
    flag_values=FLAGS,
)
_CLASSIFIER = flags.DEFINE_string(
    "classifier",
    None,
    f"Of the metric modes (default: {CLASSIFIER} in the dataset).",
    flag_values=FLAGS,
)
_PROBE = flags.DEFINE_bool(
    "probe",
    False,
    "Run a few iterations of every stage, print time and memory of each, stop (default: no).",
    flag_values=FLAGS,
)
_NEW = flags.DEFINE_bool(
    "new", False, "Start another run, do not continue (default: no).", flag_values=FLAGS
)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run",
    False,
    "Print the configuration and the table of stages, then stop (default: no).",
    flag_values=FLAGS,
)
_LIST_PRESETS = flags.DEFINE_bool(
    "list_presets",
    False,
    "Print all presets with source, parameters, schedule and the paper's result, then stop "
    "(default: no).",
    flag_values=FLAGS,
)
_MEANINGS = configs.documentation(PRESETS["demo"])
_FIELDS = {
    name: flags.DEFINE_string(
        f"config.{name}",
        None,
        f"{_MEANINGS[name]}; {configs.describe(kind)} (default: preset's).",
        flag_values=FLAGS,
    )
    for name, kind in configs.fields(PRESETS["demo"])
}


def main():
    logging.use_absl_handler()
    flags.FLAGS(sys.argv[:1])  # absl's own, which its log handler reads
    run(parse_flags(sys.argv))


def parse_flags(argv):
    """Parses flags and returns the rest. Prints --help; a bad flag is one line, exit code 2."""
    if {"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(argv[1:]):
        print(f"{__doc__}\nflags:\n{FLAGS.module_help(__name__)}")
        sys.exit(0)
    with one_line_errors(flags.Error):
        return FLAGS(argv)


def run(argv):
    """Trains as the flags say; `argv` holds what is left of them."""
    try:
        with losses_noticed(), stopped_by_signals():
            signum = _run(argv)
    except WorkerLost as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(_exit_code(signal.SIGTERM))
    except Stopped as stop:
        print(f"Stopped at once, without a checkpoint. To continue: {_command()}", file=sys.stderr)
        sys.exit(_exit_code(stop.signum))
    if signum is not None:
        logging.info("Stopped. To continue: %s", _command())
        sys.exit(_exit_code(signum))


def _run(argv):
    """Does what the flags ask for: -> number of the signal that ended it early, or None."""
    with one_line_errors():
        if len(argv) > 1:
            raise ValueError(f"train.py takes only --flags. Received: {' '.join(argv[1:])}")
        if _LIST_PRESETS.value:
            print(catalogue.table())
            return None
        preset, config = _configured()
        asked = config.dataset.mirror_augment
        if _DRY_RUN.value:
            replicas = num_replicas(_GPUS.value, _CPU_REPLICAS.value)
            config, dataset, _ = _prepared(config, replicas)
            print(config.to_json(), stage_table(config), sep="\n")
            mirror = prepare.describe_mirror(config, _mirror_stated_by(preset), dataset)
            print(mirror, file=sys.stderr)  # standard output stays easy to parse
            return None
        log.to_terminal()
        strategy = all_reduce_check.tested_strategy(
            _GPUS.value, _CPU_REPLICAS.value, _ALL_REDUCE.value
        )
        precision.configure(config.training.precision)
        workers = Workers(strategy)
        config, dataset, start = _prepared(config, strategy.num_replicas_in_sync, workers)
        prepare.check_workers(config, workers)
        devices = describe_devices(strategy, config.training.precision)
        if _PROBE.value:
            costs = probe(config, dataset, strategy)
            print(devices, cost_table(costs), sep="\n")
            if errors := [cost.error for cost in costs if cost.error]:
                raise ValueError(errors[0])
            return None
        stated_by = _mirror_stated_by(preset)
        options = {"new": _NEW.value, "allow_change": _ALLOW_CONFIG_CHANGE.value}
        run = (_OUTDIR.value, preset, config, dataset)
        config = prepare.as_begun(asked, workers, *run, **options)
        measures = _measures(workers, config, dataset)
        folder, finished = run_folder.open_together(
            workers, _OUTDIR.value, preset, config, dataset, **options
        )
    if finished:
        print(f"{folder} is finished. Train it longer with --total_kimg=N, or another with --new.")
        return None
    with one_line_errors((OSError, MemoryError, ValueError, loop.Diverged)):
        with run_folder.claimed(folder) if workers.is_chief else contextlib.nullcontext():
            if workers.is_chief:
                log.to_file(folder / "log.txt")
            logging.info("%s\n%s", config.to_json(), stage_table(config))
            logging.info("%s", prepare.describe_mirror(config, stated_by, dataset))
            logging.info("%s", devices)
            return loop.run(
                config,
                dataset,
                strategy,
                folder,
                loop.RunOptions(
                    start=start,
                    callbacks=[measure(folder) for measure in measures],
                    checkpoint_sec=_CHECKPOINT_MINUTES.value * 60,
                    allow_config_change=_ALLOW_CONFIG_CHANGE.value,
                    on_divergence=_ON_DIVERGENCE.value,
                    profile_steps=_PROFILE.value,
                ),
            )


def _command():
    """What to type to go on."""
    again = [word for word in sys.argv if not re.fullmatch("--?new(=.*)?", word)]
    return shlex.join([sys.executable, *again])


def _exit_code(signum):
    if signum == signal.SIGTERM and _PREEMPT_EXIT_CODE.value is not None:
        return _PREEMPT_EXIT_CODE.value
    return 128 + signum


def _measures(workers, config, dataset):
    """What `--metrics` asks for, on the chief: [function: run folder -> action], one or none."""
    options = MetricOptions(
        inception=_INCEPTION.value,
        inception_sha256=_INCEPTION_SHA256.value,
        fid_mode=_FID_MODE.value,
        classifier=_CLASSIFIER.value,
    )
    mirror = config.dataset.mirror_augment
    return during_training.prepare_on_chief(workers, _METRICS.value, dataset, options, mirror)


def _configured():
    """Preset and flags: -> (name of the preset, Config)."""
    preset = _PRESET.value
    if preset is None:
        replicas = (_GPUS.value or 1) * max(num_workers(), 1)
        preset = "demo" if _DATASET.value is None else configs.preset_for(replicas)
    precision = _PRECISION.value or _FIELDS["training.precision"].value
    config = configs.named(preset, precision)
    kinds = dict(configs.fields(config))
    changes = {
        name: configs.parse(name, flag.value, kinds[name])
        for name, flag in _FIELDS.items()
        if flag.value is not None
    }
    shortcuts = {
        "dataset.path": _DATASET.value,
        "training.seed": _SEED.value,
        "training.total_kimg": _TOTAL_KIMG.value,
        "schedule.grad_accumulation": _GRAD_ACCUMULATION.value,
        "training.precision": _PRECISION.value,
        "training.jit": _JIT.value,
    }
    changes |= {name: value for name, value in shortcuts.items() if value is not None}
    return preset, config.replace(changes)


def _mirror_stated_by(preset):
    """Preset or flag that states mirror_augment; None = the dataset's default."""
    flag = _FIELDS["dataset.mirror_augment"].value
    if flag is not None and flag.lower() != "none":
        return "--config.dataset.mirror_augment"
    if flag is None and PRESETS[preset].dataset.mirror_augment is not None:
        return f"preset {preset}"
    return None


def _prepared(config, replicas, workers=None):
    """`prepare.fit` of what the flags say, after drawing the demo dataset if it is meant."""
    path = config.dataset.path

    def create_demo():
        if not os.path.exists(path):
            demo.create(path)
        return b""

    if config.dataset == PRESETS["demo"].dataset:
        create_demo() if workers is None else workers.from_chief(create_demo)
    return prepare.fit(
        config,
        replicas,
        resume_pkl=_RESUME_PKL.value,
        resume_kimg=_RESUME_KIMG.value,
        # A preset's resolution is for its own dataset; another one may have no finer levels.
        may_shrink=_FIELDS["dataset.resolution"].value is None,
    )

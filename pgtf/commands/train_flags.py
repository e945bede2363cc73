"""Flags of train.py. Each holder's `value` is valid after `parse`."""

from __future__ import annotations

import functools
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence

from absl import flags

from pgtf import config as configs
from pgtf.commands.parsers import mistake, nearest, unknown_flag
from pgtf.config import EXPERIMENTS, PRESETS
from pgtf.distribution.cluster import ALL_REDUCE
from pgtf.installation import command, spelled
from pgtf.metrics import inception
from pgtf.metrics.measures import MEASURES
from pgtf.metrics.modes import CLASSIFIER

# The flags of this command alone: importing this module defines none in absl's global FLAGS. The
# help lists those of FIRST, then the others in the order of their definition.
FLAGS = flags.FlagValues()
_bool = functools.partial(flags.DEFINE_bool, flag_values=FLAGS)
_enum = functools.partial(flags.DEFINE_enum, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
FIRST = [
    *("dataset", "preset", "gpus", "total_kimg", "resolution", "metrics", "outdir", "dry_run"),
    *("seed", "new", "resume_pkl", "list_presets"),
]
_NO_BOOLEAN = re.compile(r"\('Non-boolean argument to boolean flag', ('.*')\)")  # absl's words
# Titles of groups of the configuration's fields in the help; others have their own name.
_FIELD_TITLES = {
    "G": "generator",
    "D": "discriminator",
    "loss": "losses",
    "schedule": "schedule of growing",
    "augment": "augmentation",
}

DATASET: flags.FlagHolder[str | None] = _string(
    "dataset",
    None,
    "Folder made by dataset_tool.py, or a folder of images, of which one is made (default: the "
    "preset's; demo: datasets/demo).",
)
RESOLUTION: flags.FlagHolder[int | None] = _integer(
    "resolution",
    None,
    "Full resolution in pixels (default: the dataset's; of a folder of images, the largest power "
    "of two up to their median shorter side and up to 256).",
)
PRESET: flags.FlagHolder[str | None] = _string(
    "preset",
    None,
    f"Base configuration: {', '.join(name for name in PRESETS if name not in EXPERIMENTS)}, or one "
    "of --list_presets (default: demo; with --dataset the v2 preset of --gpus).",
)
GPUS: flags.FlagHolder[int | None] = _integer(
    "gpus", None, "Number of GPUs to train on, 0 = CPU (default: 1 if there is one).", lower_bound=0
)
TOTAL_KIMG: flags.FlagHolder[float | None] = _float(
    "total_kimg", None, "Length of training, thousands of images (default: the preset's)."
)
FIT_SCHEDULE: flags.FlagHolder[bool] = _bool(
    "fit_schedule",
    False,
    "Scale the phases of growing to the length, so that the last fade ends after 80% of it "
    "(default: no).",
)
OUTDIR: flags.FlagHolder[str] = _string(
    "outdir", "results", "Folder that receives <number>-<dataset>-<preset>/ (default: results)."
)
NEW: flags.FlagHolder[bool] = _bool(
    "new", False, "Start another run instead of continuing one (default: no)."
)
DRY_RUN: flags.FlagHolder[bool] = _bool(
    "dry_run", False, "Print the configuration and the table of stages, then stop (default: no)."
)
LIST_PRESETS: flags.FlagHolder[bool] = _bool(
    "list_presets",
    False,
    "Print all presets with source, parameters, schedule and the paper's result, then stop "
    "(default: no).",
)
PROBE: flags.FlagHolder[bool] = _bool(
    "probe",
    False,
    "Run a few iterations of every stage, print time and memory of each, then stop (default: no).",
)
SEED: flags.FlagHolder[int | None] = _integer(
    "seed", None, "Random seed for weights, data order and latents (default: the preset's, 1000)."
)
PRECISION: flags.FlagHolder[str | None] = _enum(
    "precision",
    None,
    ["fp32", "tf32", "bf16", "fp16"],
    "Precision of convolutions; tf32 and fp16 need a GPU (default: the preset's, fp32).",
)
JIT: flags.FlagHolder[str | None] = _enum(
    "jit",
    None,
    ["auto", "on", "off"],
    "Compile iterations with XLA; auto is on for GPUs and off for CPUs (default: auto).",
)
MINIBATCH: flags.FlagHolder[int | None] = _integer(
    "minibatch",
    None,
    "Global minibatch at every resolution (default: the preset's, by resolution).",
    lower_bound=1,
)
AUG: flags.FlagHolder[str | None] = _enum(
    "aug",
    None,
    ["none", "diffaug", "ada"],
    "Augmentation of what D sees, for small datasets: DiffAugment, or ADA, whose probability is "
    "adapted to overfitting (default: the preset's, none).",
)
AUG_P: flags.FlagHolder[float | None] = _float(
    "aug_p", None, "With --aug=ada: fixed probability of each operation (default: adapted)."
)
AUG_TARGET: flags.FlagHolder[float | None] = _float(
    "aug_target",
    None,
    "With --aug=ada: overfitting signal towards which the probability is adapted (default: 0.6).",
)
AUG_KIMG: flags.FlagHolder[float | None] = _float(
    "aug_kimg",
    None,
    "With --aug=ada: thousands of images in which the probability can rise from 0 to 1 (default: "
    "500).",
)
AUG_INTERVAL: flags.FlagHolder[int | None] = _integer(
    "aug_interval",
    None,
    "With --aug=ada: images between two adaptations, over which the signal is averaged (default: "
    "1000).",
)
GRAD_ACCUMULATION: flags.FlagHolder[int | None] = _integer(
    "grad_accumulation",
    None,
    "Number of parts into which each device splits its minibatch to save memory (default: 1).",
)
CPU_REPLICAS: flags.FlagHolder[int] = _integer(
    "cpu_replicas",
    0,
    "Number of replicas into which to split the CPU, 0 = do not split (default: 0).",
    lower_bound=0,
)
ALL_REDUCE_NAME: flags.FlagHolder[str] = _enum(
    "all_reduce",
    "auto",
    ALL_REDUCE,
    "Algorithm that sums gradients over replicas; with TF_CONFIG auto, ring or nccl (default: "
    "auto).",
)
CHECKPOINT_MINUTES: flags.FlagHolder[float] = _float(
    "checkpoint_minutes",
    10,
    "Minutes between checkpoints: the most work that a crash can cost (default: 10).",
)
RESUME_PKL: flags.FlagHolder[str | None] = _string(
    "resume_pkl", None, "Pickle or snapshot whose networks the run begins with (default: new ones)."
)
RESUME_KIMG: flags.FlagHolder[float | None] = _float(
    "resume_kimg",
    None,
    "With --resume_pkl: thousands of images its networks have seen (default: the file's own count, "
    "or that in its name).",
)
TRANSFER: flags.FlagHolder[str | None] = _string(
    "transfer",
    None,
    "Snapshot, pickle or run whose blocks the networks begin with; resolution, channels and labels "
    "may differ (default: new ones).",
)
FREEZE_D: flags.FlagHolder[int | None] = _integer(
    "freeze_D",
    None,
    "With --transfer: number of the finest taken blocks of D that are not trained (default: 0).",
    lower_bound=0,
)
ALLOW_CONFIG_CHANGE: flags.FlagHolder[bool] = _bool(
    "allow_config_change", False, "Continue a run although options differ (default: no)."
)
ON_DIVERGENCE: flags.FlagHolder[str] = _enum(
    "on_divergence",
    "stop",
    ["stop", "rollback"],
    "When gradients stay non-finite: stop, or go back to the last checkpoint and continue with "
    "other random numbers (default: stop).",
)
PREEMPT_EXIT_CODE: flags.FlagHolder[int | None] = _integer(
    "preempt_exit_code", None, "Exit code after SIGTERM (default: 143)."
)
PROFILE: flags.FlagHolder[int] = _integer(
    "profile",
    0,
    "Number of iterations to record as a TensorBoard trace (default: 0).",
    lower_bound=0,
)
METRICS: flags.FlagHolder[str | None] = _string(
    "metrics",
    None,
    "Metrics of snapshots, NAME[:NUMBER[k]],...[@every=N], where NAME is one of "
    f"{', '.join(MEASURES)} (default: none).",
)
INCEPTION: flags.FlagHolder[str | None] = _string(
    "inception",
    None,
    f"With --metrics: path of {inception.GRAPH_NAME} (default: in ~/.cache/pgtf).",
)
INCEPTION_SHA256: flags.FlagHolder[str | None] = _string(
    "inception_sha256", None, "Refuse an Inception file with another SHA-256 (default: accept any)."
)
FID_MODE: flags.FlagHolder[str] = _enum(
    "fid_mode",
    "legacy",
    inception.MODES,
    "Method that resizes images for Inception (default: legacy, as the original).",
)
CLASSIFIER_FILE: flags.FlagHolder[str | None] = _string(
    "classifier",
    None,
    f"Classifier file for the `modes` metric (default: {CLASSIFIER} in the dataset).",
)
_MEANINGS = configs.documentation(PRESETS["demo"])
FIELDS: dict[str, flags.FlagHolder[str | None]] = {
    name: _string(
        f"config.{name}",
        None,
        f"{_MEANINGS[name]}; {configs.describe(kind)} (default: the preset's).",
    )
    for name, kind in configs.fields(PRESETS["demo"])
}


def parse(argv: Sequence[str], description: str) -> list[str]:
    """Parses flags and returns the remaining arguments.

    Prints `description` and all flags for --help. A bad flag is one line and exit code 2.
    """
    if {"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(argv[1:]):
        print(spelled(f"{description}\n\n{usage()}"))
        sys.exit(0)
    try:
        rest: list[str] = FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        # --kimg means --total_kimg, not --aug_kimg.
        usual = [name for name in FLAGS if not name.startswith("aug_")]
        known = FLAGS if error.flagname.startswith("aug") else usual
        names = [f"--{name}" for name in (*FIRST, *known)]
        mistake(unknown_flag(f"--{error.flagname}", names), command("train"))
    except (flags.Error, ValueError) as error:
        text = _NO_BOOLEAN.sub(r"must be true or false. Received: \1.", str(error))
        mistake(f"{text}{_nearest_value(str(error))}", command("train"))
    for name in ("dataset", "preset", "outdir", "resume_pkl", "transfer"):
        if FLAGS[name].value == "":  # as of an unset variable of the shell
            mistake(f"--{name} must not be empty", command("train"))
    return rest


def _nearest_value(message: str) -> str:
    """Returns the value that was meant, for absl's message about one of another list."""
    for name in FLAGS:
        values = getattr(FLAGS[name].parser, "enum_values", None)
        start = f"flag --{name}="
        if values and message.startswith(start):
            return nearest(message.removeprefix(start).partition(":")[0], values)
    return ""


def usage() -> str:
    """Returns the help texts of all flags under titles, wrapped to the width of the terminal."""
    fields = [f"config.{name}" for name in FIELDS]
    others = [name for name in FLAGS if name not in {*FIRST, *fields}]
    groups = {"flags that most runs need": FIRST, "other flags": others}
    for name in fields:
        group = name.split(".")[1]
        title = f"fields of the configuration, {_FIELD_TITLES.get(group, group)}"
        groups.setdefault(title, []).append(name)
    return "\n\n".join(
        "\n".join([f"{title}:", *map(_wrapped, names)]) for title, names in groups.items()
    )


def _wrapped(name: str) -> str:
    """Returns the help text of one flag."""
    flag = FLAGS[name]
    return textwrap.fill(
        f"--{'[no]' if flag.boolean else ''}{name}: {flag.help}",
        max(shutil.get_terminal_size().columns, 40),
        initial_indent="  ",
        subsequent_indent="      ",
        break_on_hyphens=False,
    )

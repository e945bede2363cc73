"""Flags of train.py. Each holder's `value` is valid after `parse`."""

from __future__ import annotations

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
FIRST = [
    *("dataset", "preset", "gpus", "total_kimg", "resolution", "metrics", "outdir", "dry_run"),
    *("seed", "new", "resume_pkl", "list_presets"),
]
# Titles of the fields of the configuration in the help, by group.
_NO_BOOLEAN = re.compile(r"\('Non-boolean argument to boolean flag', ('.*')\)")  # absl's words
_FIELD_TITLES = {
    "dataset": "fields of the configuration, dataset",
    "G": "fields of the configuration, generator",
    "D": "fields of the configuration, discriminator",
    "loss": "fields of the configuration, losses",
    "schedule": "fields of the configuration, schedule of growing",
    "training": "fields of the configuration, training",
    "augment": "fields of the configuration, augmentation",
}

DATASET: flags.FlagHolder[str | None] = flags.DEFINE_string(
    "dataset",
    None,
    "Folder made by dataset_tool.py, or a folder of images, of which one is made (default: the "
    "preset's; demo: datasets/demo).",
    flag_values=FLAGS,
)
RESOLUTION: flags.FlagHolder[int | None] = flags.DEFINE_integer(
    "resolution",
    None,
    "Full resolution in pixels (default: the dataset's; of a folder of images, the largest power "
    "of two up to their median shorter side and up to 256).",
    flag_values=FLAGS,
)
PRESET: flags.FlagHolder[str | None] = flags.DEFINE_string(
    "preset",
    None,
    f"Base configuration: {', '.join(name for name in PRESETS if name not in EXPERIMENTS)}, or one "
    "of --list_presets (default: demo; with --dataset the v2 preset of --gpus).",
    flag_values=FLAGS,
)
GPUS: flags.FlagHolder[int | None] = flags.DEFINE_integer(
    "gpus",
    None,
    "Number of GPUs to train on, 0 = CPU (default: 1 if there is one).",
    lower_bound=0,
    flag_values=FLAGS,
)
TOTAL_KIMG: flags.FlagHolder[float | None] = flags.DEFINE_float(
    "total_kimg",
    None,
    "Length of training, thousands of images (default: the preset's).",
    flag_values=FLAGS,
)
FIT_SCHEDULE: flags.FlagHolder[bool] = flags.DEFINE_bool(
    "fit_schedule",
    False,
    "Scale the phases of growing to the length, so that the last fade ends after 80% of it "
    "(default: no).",
    flag_values=FLAGS,
)
OUTDIR: flags.FlagHolder[str] = flags.DEFINE_string(
    "outdir",
    "results",
    "Folder that receives <number>-<dataset>-<preset>/ (default: results).",
    flag_values=FLAGS,
)
NEW: flags.FlagHolder[bool] = flags.DEFINE_bool(
    "new", False, "Start another run instead of continuing one (default: no).", flag_values=FLAGS
)
DRY_RUN: flags.FlagHolder[bool] = flags.DEFINE_bool(
    "dry_run",
    False,
    "Print the configuration and the table of stages, then stop (default: no).",
    flag_values=FLAGS,
)
LIST_PRESETS: flags.FlagHolder[bool] = flags.DEFINE_bool(
    "list_presets",
    False,
    "Print all presets with source, parameters, schedule and the paper's result, then stop "
    "(default: no).",
    flag_values=FLAGS,
)
PROBE: flags.FlagHolder[bool] = flags.DEFINE_bool(
    "probe",
    False,
    "Run a few iterations of every stage, print time and memory of each, then stop (default: no).",
    flag_values=FLAGS,
)
SEED: flags.FlagHolder[int | None] = flags.DEFINE_integer(
    "seed",
    None,
    "Random seed for weights, data order and latents (default: the preset's, 1000).",
    flag_values=FLAGS,
)
PRECISION: flags.FlagHolder[str | None] = flags.DEFINE_enum(
    "precision",
    None,
    ["fp32", "tf32", "bf16", "fp16"],
    "Precision of convolutions; tf32 and fp16 need a GPU (default: the preset's, fp32).",
    flag_values=FLAGS,
)
JIT: flags.FlagHolder[str | None] = flags.DEFINE_enum(
    "jit",
    None,
    ["auto", "on", "off"],
    "Compile iterations with XLA; auto is on for GPUs and off for CPUs (default: auto).",
    flag_values=FLAGS,
)
MINIBATCH: flags.FlagHolder[int | None] = flags.DEFINE_integer(
    "minibatch",
    None,
    "Global minibatch at every resolution (default: the preset's, by resolution).",
    lower_bound=1,
    flag_values=FLAGS,
)
AUG: flags.FlagHolder[str | None] = flags.DEFINE_enum(
    "aug",
    None,
    ["none", "diffaug", "ada"],
    "Augmentation of what D sees, for small datasets: DiffAugment, or ADA, whose probability is "
    "adapted to overfitting (default: the preset's, none).",
    flag_values=FLAGS,
)
AUG_P: flags.FlagHolder[float | None] = flags.DEFINE_float(
    "aug_p",
    None,
    "With --aug=ada: fixed probability of each operation (default: adapted).",
    flag_values=FLAGS,
)
AUG_TARGET: flags.FlagHolder[float | None] = flags.DEFINE_float(
    "aug_target",
    None,
    "With --aug=ada: overfitting signal towards which the probability is adapted (default: 0.6).",
    flag_values=FLAGS,
)
AUG_KIMG: flags.FlagHolder[float | None] = flags.DEFINE_float(
    "aug_kimg",
    None,
    "With --aug=ada: thousands of images in which the probability can rise from 0 to 1 (default: "
    "500).",
    flag_values=FLAGS,
)
AUG_INTERVAL: flags.FlagHolder[int | None] = flags.DEFINE_integer(
    "aug_interval",
    None,
    "With --aug=ada: images between two adaptations, over which the signal is averaged (default: "
    "1000).",
    flag_values=FLAGS,
)
GRAD_ACCUMULATION: flags.FlagHolder[int | None] = flags.DEFINE_integer(
    "grad_accumulation",
    None,
    "Number of parts into which each device splits its minibatch to save memory (default: 1).",
    flag_values=FLAGS,
)
CPU_REPLICAS: flags.FlagHolder[int] = flags.DEFINE_integer(
    "cpu_replicas",
    0,
    "Number of replicas into which to split the CPU, 0 = do not split (default: 0).",
    lower_bound=0,
    flag_values=FLAGS,
)
ALL_REDUCE_NAME: flags.FlagHolder[str] = flags.DEFINE_enum(
    "all_reduce",
    "auto",
    ALL_REDUCE,
    "Algorithm that sums gradients over replicas; with TF_CONFIG auto, ring or nccl (default: "
    "auto).",
    flag_values=FLAGS,
)
CHECKPOINT_MINUTES: flags.FlagHolder[float] = flags.DEFINE_float(
    "checkpoint_minutes",
    10,
    "Minutes between checkpoints: the most work that a crash can cost (default: 10).",
    flag_values=FLAGS,
)
RESUME_PKL: flags.FlagHolder[str | None] = flags.DEFINE_string(
    "resume_pkl",
    None,
    "Pickle or snapshot whose networks the run begins with (default: new ones).",
    flag_values=FLAGS,
)
RESUME_KIMG: flags.FlagHolder[float | None] = flags.DEFINE_float(
    "resume_kimg",
    None,
    "With --resume_pkl: thousands of images its networks have seen (default: the file's own count, "
    "or that in its name).",
    flag_values=FLAGS,
)
TRANSFER: flags.FlagHolder[str | None] = flags.DEFINE_string(
    "transfer",
    None,
    "Snapshot, pickle or run whose blocks the networks begin with; resolution, channels and labels "
    "may differ (default: new ones).",
    flag_values=FLAGS,
)
FREEZE_D: flags.FlagHolder[int | None] = flags.DEFINE_integer(
    "freeze_D",
    None,
    "With --transfer: number of the finest taken blocks of D that are not trained (default: 0).",
    lower_bound=0,
    flag_values=FLAGS,
)
ALLOW_CONFIG_CHANGE: flags.FlagHolder[bool] = flags.DEFINE_bool(
    "allow_config_change",
    False,
    "Continue a run although options differ (default: no).",
    flag_values=FLAGS,
)
ON_DIVERGENCE: flags.FlagHolder[str] = flags.DEFINE_enum(
    "on_divergence",
    "stop",
    ["stop", "rollback"],
    "When gradients stay non-finite: stop, or go back to the last checkpoint and continue with "
    "other random numbers (default: stop).",
    flag_values=FLAGS,
)
PREEMPT_EXIT_CODE: flags.FlagHolder[int | None] = flags.DEFINE_integer(
    "preempt_exit_code", None, "Exit code after SIGTERM (default: 143).", flag_values=FLAGS
)
PROFILE: flags.FlagHolder[int] = flags.DEFINE_integer(
    "profile",
    0,
    "Number of iterations to record as a TensorBoard trace (default: 0).",
    lower_bound=0,
    flag_values=FLAGS,
)
METRICS: flags.FlagHolder[str | None] = flags.DEFINE_string(
    "metrics",
    None,
    "Metrics of snapshots, NAME[:NUMBER[k]],...[@every=N], where NAME is one of "
    f"{', '.join(MEASURES)} (default: none).",
    flag_values=FLAGS,
)
INCEPTION: flags.FlagHolder[str | None] = flags.DEFINE_string(
    "inception",
    None,
    f"With --metrics: path of {inception.GRAPH_NAME} (default: in ~/.cache/pgtf).",
    flag_values=FLAGS,
)
INCEPTION_SHA256: flags.FlagHolder[str | None] = flags.DEFINE_string(
    "inception_sha256",
    None,
    "Refuse an Inception file with another SHA-256 (default: accept any).",
    flag_values=FLAGS,
)
FID_MODE: flags.FlagHolder[str] = flags.DEFINE_enum(
    "fid_mode",
    "legacy",
    inception.MODES,
    "Method that resizes images for Inception (default: legacy, as the original).",
    flag_values=FLAGS,
)
CLASSIFIER_FILE: flags.FlagHolder[str | None] = flags.DEFINE_string(
    "classifier",
    None,
    f"Classifier file for the `modes` metric (default: {CLASSIFIER} in the dataset).",
    flag_values=FLAGS,
)
_MEANINGS = configs.documentation(PRESETS["demo"])
FIELDS: dict[str, flags.FlagHolder[str | None]] = {
    name: flags.DEFINE_string(
        f"config.{name}",
        None,
        f"{_MEANINGS[name]}; {configs.describe(kind)} (default: the preset's).",
        flag_values=FLAGS,
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
        groups.setdefault(_FIELD_TITLES[name.split(".")[1]], []).append(name)
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

"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8

Without flags it trains the demo preset on the demo dataset, which it draws first. The same command
again continues an unfinished run.
"""

import logging
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

from absl import app, flags
from absl import logging as absl_logging

from pgtf import config as configs
from pgtf.command_line import one_line_errors, parse_flags
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset

demo = None
from pgtf.training import loop, run_folder
from pgtf.training.strategy import make_strategy

_DATASET = flags.DEFINE_string(
    "dataset", None, "Folder made by dataset_tool.py (default: the preset's, datasets/demo)."
)
_PRESET = flags.DEFINE_enum(
    "preset",
    None,
    sorted(PRESETS),
    "Base configuration (default: demo; with --dataset the v2 preset of --gpus).",
)
_GPUS = flags.DEFINE_integer(
    "gpus", None, "GPUs to train on, 0 = CPU (default: 1 if there is one).", lower_bound=0
)
_CPU_REPLICAS = flags.DEFINE_integer(
    "cpu_replicas", 0, "N > 0 splits the CPU into N replicas (default: 0).", lower_bound=0
)
_OUTDIR = flags.DEFINE_string(
    "outdir", "results", "Folder that receives <number>-<dataset>-<preset>/ (default: results)."
)
_SEED = flags.DEFINE_integer("seed", None, "Of weights, data order, latents (default: 1000).")
_TOTAL_KIMG = flags.DEFINE_float(
    "total_kimg", None, "Length of training, thousands of images (default: the preset's)."
)
_CHECKPOINT_MINUTES = flags.DEFINE_float(
    "checkpoint_minutes", 10, "Most work that a crash can cost, in minutes (default: 10)."
)
_NEW = flags.DEFINE_bool("new", False, "Start another run, do not continue (default: no).")
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Print the configuration and the table of stages, then stop (default: no)."
)
_FIELDS = {
    name: flags.DEFINE_string(
        f"config.{name}", None, f"{configs.describe(kind)} (default: the preset's)."
    )
    for name, kind in configs.fields(PRESETS["demo"])
}


def main(argv):
    with one_line_errors():
        if len(argv) > 1:
            raise ValueError(f"train.py takes only --flags. Received: {' '.join(argv[1:])}")
        preset, config = _configured()
        if _DRY_RUN.value:
            config = _fitted(config, _dataset(config), _GPUS.value or _CPU_REPLICAS.value or 1)
            loop.check(config)
            print(config.to_json(), _stage_table(config), sep="\n")
            return
        strategy = make_strategy(_GPUS.value, _CPU_REPLICAS.value)
        if config.dataset == PRESETS["demo"].dataset and not os.path.exists(config.dataset.path):
            demo.create(config.dataset.path)
        dataset = _dataset(config)
        config = _fitted(config, dataset, strategy.num_replicas_in_sync)
        loop.check(config)
        title = f"{dataset.name}-{preset}"
        folder, finished = run_folder.open_run(_OUTDIR.value, title, config, _NEW.value)
    if finished:
        print(f"{folder} is finished. Train another with --new, or longer with --total_kimg.")
        return
    _log_to(folder / "log.txt")
    absl_logging.info("%s\n%s", config.to_json(), _stage_table(config))
    with one_line_errors(OSError):
        checkpoint_sec = _CHECKPOINT_MINUTES.value * 60
        loop.run(config, dataset, strategy, folder, checkpoint_sec=checkpoint_sec)


def _configured():
    """Preset and flags: -> (name of the preset, Config)."""
    preset = _PRESET.value
    if preset is None:
        preset = "demo" if _DATASET.value is None else configs.preset_for(_GPUS.value or 1)
    kinds = dict(configs.fields(PRESETS[preset]))
    changes = {
        name: configs.parse(name, flag.value, kinds[name])
        for name, flag in _FIELDS.items()
        if flag.value is not None
    }
    shortcuts = {
        "dataset.path": _DATASET.value,
        "training.seed": _SEED.value,
        "training.total_kimg": _TOTAL_KIMG.value,
    }
    changes |= {name: value for name, value in shortcuts.items() if value is not None}
    return preset, PRESETS[preset].replace(changes)


def _dataset(config):
    options = config.dataset
    return open_dataset(
        options.path, resolution=options.resolution, max_label_size=options.max_label_size
    )


def _fitted(config, dataset, num_replicas):
    shape = (dataset.resolution_log2, dataset.num_channels, dataset.label_size)
    return config.fitted(*shape, num_replicas)


def _stage_table(config):
    """What is trained when, as text."""
    titles = ("kimg", "resolution", "phase", "minibatch", "G_lrate", "D_lrate", "tick kimg")
    rows, begin = [titles], 0.0
    for end, state in config.schedule.stages(config.training.total_kimg):
        phase = "fade in" if state.alpha < 1 else "stabilise"
        size = f"{state.resolution}x{state.resolution}"
        numbers = (state.minibatch, state.G_lrate, state.D_lrate, state.tick_kimg)
        rows.append((f"{begin:g} - {end:g}", size, phase, *(f"{x:g}" for x in numbers)))
        begin = end
    widths = [max(len(row[i]) for row in rows) for i in range(len(titles))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def _log_to(path):
    """Sends log lines to the terminal as they are, and with the time to a file."""
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    absl_logging.set_verbosity(absl_logging.INFO)
    terminal = absl_logging.get_absl_handler().python_handler
    terminal.setFormatter(logging.Formatter("%(message)s"))
    terminal.stream = sys.stdout
    file = logging.FileHandler(path)
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    absl_logging.get_absl_logger().addHandler(file)


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)

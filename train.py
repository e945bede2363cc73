"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8

Without flags it trains the demo preset on the demo dataset, which it draws first. The same command
again continues an unfinished run.
"""

import dataclasses
import logging
import os
import shlex
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

from absl import app, flags
from absl import logging as absl_logging

from pgtf import config as configs
from pgtf import interop
from pgtf.command_line import one_line_errors, parse_flags
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.dataset.sources import demo
from pgtf.training import loop, run_folder
from pgtf.training.strategy import describe_devices, make_strategy

_DATASET = flags.DEFINE_string(
    "dataset", None, "Folder made by dataset_tool.py (default: the preset's, datasets/demo)."
)
_PRESET = flags.DEFINE_string(
    "preset",
    None,
    f"Base configuration: {', '.join(PRESETS)} (default: demo; with --dataset the v2 preset of "
    "--gpus).",
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
_RESUME_PKL = flags.DEFINE_string(
    "resume_pkl", None, "Begin with the networks of a pickle or snapshot (default: new ones)."
)
_RESUME_KIMG = flags.DEFINE_float(
    "resume_kimg", 0, "With --resume_pkl: thousands of images they have seen (default: 0)."
)
_ALLOW_CONFIG_CHANGE = flags.DEFINE_bool(
    "allow_config_change", False, "Continue a run although options differ (default: no)."
)
_PREEMPT_EXIT_CODE = flags.DEFINE_integer(
    "preempt_exit_code", None, "Exit code after SIGTERM (default: 143)."
)
_NEW = flags.DEFINE_bool("new", False, "Start another run, do not continue (default: no).")
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Print the configuration and the table of stages, then stop (default: no)."
)
_MEANINGS = configs.documentation(PRESETS["demo"])
_FIELDS = {
    name: flags.DEFINE_string(
        f"config.{name}", None, f"{_MEANINGS[name]}; {configs.describe(kind)} (default: preset's)."
    )
    for name, kind in configs.fields(PRESETS["demo"])
}


def main(argv):
    with one_line_errors():
        if len(argv) > 1:
            raise ValueError(f"train.py takes only --flags. Received: {' '.join(argv[1:])}")
        preset, config = _configured()
        if _DRY_RUN.value:
            config, _, _ = _prepared(config, _GPUS.value or _CPU_REPLICAS.value or 1)
            print(config.to_json(), _stage_table(config), sep="\n")
            return
        strategy = make_strategy(_GPUS.value, _CPU_REPLICAS.value)
        config, dataset, start = _prepared(config, strategy.num_replicas_in_sync)
        folder, finished = run_folder.open_run(
            _OUTDIR.value,
            f"{dataset.name}-{preset}",
            config,
            new=_NEW.value,
            allow_change=_ALLOW_CONFIG_CHANGE.value,
        )
    if finished:
        print(f"{folder} is finished. Train another with --new, or longer with --total_kimg.")
        return
    _log_to(folder / "log.txt")
    absl_logging.info("%s\n%s", config.to_json(), _stage_table(config))
    absl_logging.info("%s", describe_devices(strategy))
    with one_line_errors((OSError, MemoryError, loop.Diverged)):
        checkpoint_sec = _CHECKPOINT_MINUTES.value * 60
        options = {"start": start, "checkpoint_sec": checkpoint_sec}
        signum = loop.run(config, dataset, strategy, folder, **options)
    if signum is not None:
        absl_logging.info("Stopped. To continue: %s", shlex.join([sys.executable, *sys.argv]))
        preempted = signum == signal.SIGTERM and _PREEMPT_EXIT_CODE.value is not None
        sys.exit(_PREEMPT_EXIT_CODE.value if preempted else 128 + signum)


def _configured():
    """Preset and flags: -> (name of the preset, Config)."""
    preset = _PRESET.value
    if preset is None:
        preset = "demo" if _DATASET.value is None else configs.preset_for(_GPUS.value or 1)
    config = configs.named(preset)
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
    }
    changes |= {name: value for name, value in shortcuts.items() if value is not None}
    return preset, config.replace(changes)


def _prepared(config, num_replicas):
    """Opens what the configuration names: -> (Config fitted to it, Dataset, start or None)."""
    options = config.dataset
    if options == PRESETS["demo"].dataset and not os.path.exists(options.path):
        demo.create(options.path)
    dataset = open_dataset(
        options.path, resolution=options.resolution, max_label_size=options.max_label_size
    )
    start = None
    if _RESUME_PKL.value is not None:
        is_snapshot = _RESUME_PKL.value.endswith(".h5")
        load = interop.load_snapshot if is_snapshot else interop.load_pkl
        G, D, Gs = load(_RESUME_PKL.value)
        config = dataclasses.replace(config, G=G.config, D=D.config)
        start = (G, D, Gs, round(_RESUME_KIMG.value * 1000))
    shape = (dataset.resolution_log2, dataset.num_channels, dataset.label_size)
    fitted = config.fitted(*shape, num_replicas)
    if start is not None and (fitted.G, fitted.D) != (config.G, config.D):
        raise ValueError(
            f"`--resume_pkl` must hold networks for {dataset.path}. Received: "
            f"{'; '.join(line for line in config.differences(fitted) if line[:2] in 'G.D.')}."
        )
    loop.check(fitted)
    return fitted, dataset, start


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

"""Makes images and SavedModels from a trained network: python generate.py images --seeds=0-63

Every sub-command takes its network from a run (--run, the newest one by default), a snapshot
(--snapshot) or a pickle of the original release (--pkl), and uses the moving average Gs.
"""

import dataclasses
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import numpy as np
from absl import app, logging
from absl.flags import argparse_flags
from tqdm import tqdm

from metrics import records
from pgtf import images
from pgtf.command_line import one_line_errors
from pgtf.export import Facts, export_generator, sha256
from pgtf.interop import load_meta, load_pkl, load_snapshot
from pgtf.networks import Generator, latents_from_seeds
from pgtf.training import run_folder

MINIBATCH = 16  # images at a time
MAX_IMAGES = 1_000_000  # of one command
SEEDS = "0-63"
CLASS_GRID_SEEDS = "0-9"  # the columns of a grid whose rows are classes
MAX_CLASS_ROWS = images.MAX_GRID_SIDE


@dataclasses.dataclass(frozen=True)
class Source:
    """A generator and where it came from."""

    Gs: Generator
    path: Path  # of the snapshot or pickle; results lie beside it unless --out says otherwise
    meta: dict[str, Any]  # what training noted in the snapshot; {} for a pickle

    @property
    def label_names(self):
        return tuple(self.meta.get("label_names", ()))

    def beside(self, suffix):
        return self.path.with_name(self.path.stem + suffix)


@dataclasses.dataclass(frozen=True)
class Draws:
    """What images are made from."""

    names: list[str]  # of the images, for their files
    latents: np.ndarray  # [N, latent_size] float32
    labels: np.ndarray | None  # [N, label_size] float32; None for a network without labels


def main(args):
    logging.set_verbosity(logging.WARNING)
    with one_line_errors():
        args.command(args)


def save_images(args):
    """Writes a PNG file for every latent vector."""
    source = _source(args)
    draws = _draws(args, source, SEEDS)
    out = Path(args.out or source.beside("-images"))
    paths = [out / f"{name}.png" for name in draws.names]
    if not args.overwrite and (existing := next(filter(Path.exists, paths), None)):
        raise FileExistsError(f"{existing} exists. Choose another --out, or --overwrite.")
    out.mkdir(parents=True, exist_ok=True)
    for begin in tqdm(range(0, len(paths), MINIBATCH), unit="batch", disable=None):
        part = slice(begin, begin + MINIBATCH)
        labels = None if draws.labels is None else draws.labels[part]
        fakes = source.Gs.run(draws.latents[part], labels, args.lod)
        for path, fake in zip(paths[part], fakes, strict=True):
            images.save_png(path, fake)
    print(f"{len(paths)} images in {out}")


def save_grid(args):
    """Writes one PNG file with all images; of a network with labels, a row for every class."""
    source = _source(args)
    one_label = args.class_ is not None or args.label is not None
    num_rows = 0 if one_label else min(source.Gs.config.label_size, MAX_CLASS_ROWS)
    draws = _draws(args, source, CLASS_GRID_SEEDS if num_rows else SEEDS)
    latents, labels, grid_size = draws.latents, draws.labels, None
    if num_rows:  # the same latents in every row
        grid_size = (len(latents), num_rows)
        labels = np.eye(num_rows, source.Gs.config.label_size, dtype=np.float32)
        labels = labels.repeat(len(latents), axis=0)
        latents = np.tile(latents, (num_rows, 1))
    fakes = source.Gs.run(latents, labels, args.lod)
    out = Path(args.out or source.beside("-grid.png"))
    content = images.png_bytes(images.image_grid(fakes, grid_size))
    # The same command line again is no error.
    if not args.overwrite and out.exists() and out.read_bytes() != content:
        raise FileExistsError(f"{out} exists with another content. Choose --out, or --overwrite.")
    out.parent.mkdir(parents=True, exist_ok=True)
    images.write_atomically(out, content)
    print(f"{len(latents)} images in {out}")


def export(args):
    """Writes a SavedModel for TensorFlow Serving, after checking it in a fresh process."""
    source = _source(args)
    out = Path(args.out or source.beside("-export"))
    cur_nimg, config = source.meta.get("cur_nimg"), source.meta.get("config", {})
    facts = Facts(
        name=args.name or out.resolve().name,
        label_names=source.label_names,
        kimg=None if cur_nimg is None else round(cur_nimg / 1000),
        dataset=config.get("dataset", {}).get("path"),
        licence=args.licence,
        metrics=_metrics(source.path),
        config=config,
        source={"file": source.path.name, "sha256": sha256(source.path)},
        command=shlex.join(["generate.py", *sys.argv[1:]]),
    )
    folder = export_generator(source.Gs, out, version=args.version, facts=facts)
    print(f"SavedModel in {folder}")


def _metrics(path):
    """The last record of every metric that was measured of a snapshot: {"fid": {...}}."""
    found = {}
    for file in sorted(path.parent.glob("metric-*.jsonl")):
        name = file.stem.removeprefix("metric-")
        for record in records.load(path.parent, name):
            if record.get("snapshot") == path.name:
                found[name] = record
    return found


def _source(args):
    """Loads the network that --run, --snapshot or --pkl names."""
    if args.pkl is not None:
        return Source(load_pkl(args.pkl)[2], Path(args.pkl), {})
    path = args.snapshot
    if path is None:
        path = run_folder.newest_snapshot(_run_folder(args.outdir, args.run))
    return Source(load_snapshot(path)[2], Path(path), load_meta(path))


def _run_folder(outdir, run):
    """The folder of a run; None = the newest run."""
    if run is not None:
        return run_folder.locate(outdir, run)
    numbered = [path for path in Path(outdir).glob("[0-9]*-*") if path.is_dir()]
    if not numbered:
        raise ValueError(f"no run in {outdir}. Train one with train.py, or name one with --run.")
    return max(numbered, key=lambda path: int(path.name.split("-")[0]))


def _draws(args, source, default_seeds):
    """Latents and labels as the flags say."""
    Gs = source.Gs
    if args.lod is not None:
        Gs.stage(args.lod)  # refuses a wrong one before anything is written
    if args.random_state is None:
        if args.num is not None or args.indices is not None:
            raise ValueError("`--num` and `--indices` need `--random_state`.")
        numbers = parse_numbers("--seeds", default_seeds if args.seeds is None else args.seeds)
        names = [f"seed{seed:04d}" for seed in numbers]
        latents = latents_from_seeds(numbers, Gs.latent_size).numpy()
    else:
        if args.seeds is not None:
            raise ValueError("`--seeds` and `--random_state` exclude each other.")
        num = args.num or 1000  # as in the published examples
        numbers = range(num) if args.indices is None else parse_numbers("--indices", args.indices)
        if min(numbers) < 0 or max(numbers) >= num:
            raise ValueError(f"`--indices` must be in 0 ... {num - 1}. Received: {args.indices}.")
        names = [f"index{index:04d}" for index in numbers]
        randn = np.random.RandomState(args.random_state).randn(num, Gs.latent_size)
        latents = randn[numbers].astype(np.float32)
    return Draws(names, latents, _labels(args, source, numbers))


def _labels(args, source, numbers):
    """Label rows [N, label_size] as the flags say; None for a network without labels."""
    size, num = source.Gs.config.label_size, len(numbers)
    if not size:
        if args.class_ is not None or args.label is not None:
            raise ValueError("`--class` and `--label` need a network with labels; this has none.")
        return None
    if args.label is not None:
        return np.tile(_parse_label(args.label, size), (num, 1))
    if args.class_ is not None:
        number = _parse_class(args.class_, size, source.label_names)
        return np.eye(size, dtype=np.float32)[[number] * num]
    if args.random_state is not None:  # the published examples of the original have zeros
        return np.zeros((num, size), np.float32)
    return np.eye(size, dtype=np.float32)[np.asarray(numbers) % size]


def _parse_label(text, size):
    try:
        label = np.array([float(value) for value in text.split(",")], np.float32)
    except ValueError:
        label = np.zeros(0)
    if label.size != size or not np.isfinite(label).all():
        raise ValueError(f"`--label` must be {size} numbers with commas. Received: {text!r}.")
    return label


def _parse_class(text, size, names):
    number = names.index(text) if text in names else int(text) if text.isdecimal() else -1
    if not 0 <= number < size:
        known = f", or one of {', '.join(names)}" if names else ""
        raise ValueError(f"`--class` must be in 0 ... {size - 1}{known}. Received: {text!r}.")
    return number


def parse_numbers(flag, text):
    """Reads numbers and ranges: "0-3,8" -> [0, 1, 2, 3, 8].

    Raises:
        ValueError: naming the flag, for anything else, a falling range or too many numbers.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if last < first:
            raise ValueError(f"`{flag}` must be like 0-63 or 1,5,7-9. Received: {text!r}.")
        if len(numbers) + last - first >= MAX_IMAGES:
            raise ValueError(f"`{flag}` must be at most {MAX_IMAGES} numbers. Received: {text!r}.")
        numbers += range(first, last + 1)
    return numbers


class _Parser(argparse_flags.ArgumentParser):
    """Reports bad flags in one line."""

    def error(self, message):
        with one_line_errors():
            raise ValueError(f"{message} ({self.prog} --help lists the flags)")


def parse_flags(argv):
    """Parses the command line for `app.run`."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    # No abbreviations: --run would be one of flags of absl as well.
    about = {"description": summary, "epilog": details, "allow_abbrev": False}
    parser = _Parser(prog=Path(argv[0]).name, **about)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_images(commands)
    _add_grid(commands)
    _add_export(commands)
    return parser.parse_args(argv[1:])


def _add_images(commands):
    p = _add_command(commands, "images", save_images, "one PNG file a latent vector")
    _add_draw_flags(p, SEEDS)
    p.add_argument("--out", help="folder for the images (default: <snapshot>-images beside it)")


def _add_grid(commands):
    p = _add_command(commands, "grid", save_grid, "one PNG file; with labels a row a class")
    _add_draw_flags(p, f"{SEEDS}, or {CLASS_GRID_SEEDS} in a row for every class")
    p.add_argument("--out", help="file to write (default: <snapshot>-grid.png beside it)")


def _add_export(commands):
    p = _add_command(commands, "export", export, "SavedModel for TensorFlow Serving")
    p.add_argument("--out", help="folder of the model (default: <snapshot>-export beside it)")
    p.add_argument("--licence", default="unspecified", help="of the images (default: %(default)s)")
    p.add_argument("--version", type=int, help="number of the version (default: the next free)")
    p.add_argument("--name", help="name of the model (default: the name of its folder)")


def _add_command(commands, name, function, summary):
    p = commands.add_parser(
        name, help=summary, description=function.__doc__, inherited_absl_flags=None
    )
    p.set_defaults(command=function)
    network = p.add_mutually_exclusive_group()
    network.add_argument(
        "--run", nargs="?", help="folder of a run, or its number in --outdir (default: the newest)"
    )
    network.add_argument("--snapshot", help="network-snapshot-NNNNNN.h5 to use instead of a run's")
    network.add_argument("--pkl", help="network pickle of the original release to use instead")
    p.add_argument("--outdir", default="results", help="where runs are (default: %(default)s)")
    return p


def _add_draw_flags(p, seeds):
    text = f"numbers and ranges, a latent vector for each (default: {seeds})"
    p.add_argument("--seeds", help=text)
    p.add_argument("--random_state", type=int, help="draw latents as the original: NumPy's seed")
    p.add_argument("--num", type=int, help="latents drawn with --random_state (default: 1000)")
    p.add_argument("--indices", help="which of them to use, as --seeds (default: all)")
    p.add_argument(
        "--class", dest="class_", help="number or name of the class (default: all in turn)"
    )
    p.add_argument("--label", help="the label itself, numbers with commas (default: a class)")
    p.add_argument(
        "--lod", type=float, help="level of detail, 0 = full resolution (default: the network's)"
    )
    p.add_argument("--overwrite", action="store_true", help="replace files (default: no)")


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)

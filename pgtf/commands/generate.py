"""Images, films and SavedModels of a trained network: python generate.py images --seeds=0-63

Every sub-command takes its network from a run (--run, the newest one by default), a snapshot
(--snapshot) or a pickle of the original release (--pkl), and uses the moving average Gs.
"""

import dataclasses
import json
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
from absl import app, logging
from tqdm import tqdm

from pgtf import config as configs
from pgtf import images
from pgtf.commands import generate_flags
from pgtf.commands.command_line import one_line_errors
from pgtf.dataset import open_dataset
from pgtf.dataset.sources.pictures import FILE_ERRORS, Conversion, read_picture, reason
from pgtf.export import (
    Facts,
    draws,
    edge,
    export_generator,
    film,
    pictures,
    projection,
    sha256,
    timelapse,
    walk,
)
from pgtf.export import report as reports
from pgtf.export.source import Source
from pgtf.metrics import image_sets, plot, records
from pgtf.metrics.neighbours import neighbour_sheet
from pgtf.runs import run_folder
from pgtf.training.tables import stage_rows

NEIGHBOUR_SEEDS = "0-9"  # of the report
HOLD_SEC = 2  # how long a timelapse shows its last frame


def main():
    # Exit normally, so that temporary files are removed.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    app.run(run, flags_parser=parse_flags)


def run(args):
    """Runs the command that `parse_flags` found."""
    logging.set_verbosity(logging.WARNING)
    with one_line_errors():
        try:
            args.command(args)
        except KeyboardInterrupt:
            print("\ninterrupted; no file is half-written.", file=sys.stderr)
            sys.exit(130)  # as shells report Ctrl-C


def save_images(args):
    """Writes a PNG file for every latent vector."""
    source = _source(args)
    drawn = _draws(args, source.Gs, generate_flags.SEEDS)
    out = Path(args.out or source.beside("-images"))
    labels = source.labels(_label(args, source), drawn.numbers)
    pictures.save_images(
        source.Gs, drawn.names, drawn.latents, labels, args.lod, out, args.overwrite
    )
    print(f"{len(drawn.names)} images in {out}")


def save_grid(args):
    """Writes one PNG file with all images; of a network with labels, a row for every class."""
    source = _source(args)
    label = source.label(args.class_, args.label)
    by_class = source.label_size > 0 and label is None
    drawn = _draws(
        args, source.Gs, generate_flags.CLASS_GRID_SEEDS if by_class else generate_flags.SEEDS
    )
    latents, labels, grid_size = drawn.latents, source.labels(label, drawn.numbers), None
    if by_class:
        latents, labels, grid_size = pictures.class_rows(latents, source.label_size)
    out = Path(args.out or source.beside("-grid.png"))
    fakes = source.Gs.run(latents, labels, args.lod)
    pictures.save_grid(fakes, grid_size, out, args.overwrite)
    print(f"{len(latents)} images in {out}")


def save_video(args):
    """Writes a film of a walk through latent space that ends where it began."""
    source = _source(args)
    columns, rows = args.grid
    labels = source.labels(source.label(args.class_, args.label), range(columns * rows))
    num_frames = max(round(args.seconds * args.fps), 1)
    path = _film_path(args, source.beside("-video"))
    walks = walk.smooth_loop(
        num_frames,
        columns * rows,
        source.Gs.latent_size,
        args.smoothing * args.fps,
        args.random_state,
    )
    fakes = (source.Gs.run(x, labels, args.lod) for x in tqdm(walks, unit="frame", disable=None))
    grids = (images.to_uint8(images.image_grid(x, (columns, rows))) for x in fakes)
    film.write_film(path, (film.zoomed(x, args.zoom) for x in grids), args.fps)
    print(f"{num_frames} frames in {path}")


def project(args):
    """Finds the latent vector whose image is closest to a given one; writes it, pictures, film."""
    source = _source(args)
    Gs, label = source.Gs, source.label(args.class_, args.label)
    resolution = 2 ** Gs.stage(Gs.lod)[0]
    target = _target(args.target, resolution, Gs.config.num_channels)
    out = Path(args.out or source.beside(f"-{Path(args.target).stem}"))
    paths = [out / name for name in ("latents.npz", "projected.png", "side-by-side.png")]
    paths.append(film.film_path(None, out / "search"))
    for path in paths:
        pictures.refuse_existing(path, args.overwrite)
    out.mkdir(parents=True, exist_ok=True)
    found = projection.project(Gs, target, label=label, num_steps=args.steps, seed=args.seed)
    projection.save_projection(found, target, paths)
    print(f"{found.levels_off(target):.1f} of 255 gray levels off (root mean square), in {out}")


def _target(path, resolution, num_channels):
    """The middle square of an image file, as a dataset has it: -> float32 [R, R, C] in [-1, 1]."""
    options = {"transform": "center-crop", "alpha": "white", "strict": False}
    try:
        pixels = read_picture(path, Conversion(num_channels, resolution, **options))
    except FILE_ERRORS as error:
        raise ValueError(f"{path}: {reason(error)}.") from None
    return images.to_float(pixels.transpose(1, 2, 0))


def save_timelapse(args):
    """Writes the film of a training run: its image grids, with kimg, lod and time."""
    folder = run_folder.locate(args.outdir, args.run)
    moments = timelapse.moments(folder, run_folder.STATS_FILE)
    path = _film_path(args, folder / "timelapse")
    hold = max(round(HOLD_SEC * args.fps), 1)
    film.write_film(path, timelapse.frames(moments, hold, _box(folder, args.grid)), args.fps)
    print(f"{len(moments)} grids in {path}")


def _box(folder, grid_size):
    """Pixels of the upper left cells of a run's image grids, None = all."""
    if grid_size is None:
        return None
    config = json.loads((folder / run_folder.CONFIG_FILE).read_text())
    return tuple(number * config["G"]["resolution"] for number in grid_size)


def explore(args):
    """Opens a local web page to walk through a network."""
    from pgtf.export import explorable, explore

    if args.saved_model is not None:
        model = explorable.ServedModel(args.saved_model)
    else:
        model = explorable.LiveModel(_source(args))
    explore.explore(model, args.host, args.port, args.open)


def report(args):
    """Writes one HTML page about a training run that needs nothing else."""
    folder = run_folder.locate(args.outdir, args.run)
    path = Path(args.out or folder / "report.html")
    pictures.refuse_existing(path, args.overwrite)
    stats = timelapse.read_stats(folder / run_folder.STATS_FILE)
    moments = timelapse.moments(folder, run_folder.STATS_FILE)
    if not stats:
        raise ValueError(f"{folder}: no statistics yet. Let the run finish its first tick.")
    config = configs.Config.from_json((folder / run_folder.CONFIG_FILE).read_text())
    path.parent.mkdir(parents=True, exist_ok=True)
    reports.write_report(
        path,
        folder.name,
        f"Trained on {config.dataset.path} for {stats[-1]['kimg']:,.0f} thousand images.",
        moments=moments,
        stats=stats,
        metrics=plot.all_curves(folder),
        stages=stage_rows(config),
        neighbours=_neighbours(folder, config),
        config=dataclasses.asdict(config),
    )
    print(path)


def _neighbours(folder, config):
    """Fakes of the newest snapshot above the training images closest to them, or why not."""
    try:
        options = config.dataset
        dataset = open_dataset(options.path, resolution=options.resolution, max_label_size=0)
        source = Source.of_snapshot(run_folder.newest_snapshot(folder))
    except (ValueError, OSError) as error:
        return f"Not searched: {error}"
    drawn = draws.draw_seeds(source.Gs.latent_size, NEIGHBOUR_SEEDS)
    fakes = images.to_uint8(source.Gs.run(drawn.latents, source.labels(None, drawn.numbers)))
    factor = dataset.resolution // fakes.shape[1]
    fakes = fakes.repeat(factor, axis=1).repeat(factor, axis=2)
    return neighbour_sheet(image_sets.of_dataset(dataset), fakes, progress=sys.stderr.isatty())[0]


def export(args):
    """Writes a SavedModel for TensorFlow Serving, after checking it in a fresh process."""
    source = _source(args)
    if args.format != "savedmodel":
        path = Path(args.out or source.beside(f".{args.format}"))
        pictures.refuse_existing(path, args.overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        edge.export_edge(source.Gs, path, args.format)
        print(f"{args.format} in {path}")
        return
    out = Path(args.out or source.beside("-export"))
    config = source.meta.get("config", {})
    facts = Facts(
        name=args.name or out.resolve().name,
        label_names=source.label_names,
        kimg=source.kimg,
        dataset=config.get("dataset", {}).get("path"),
        licence=args.licence,
        metrics=records.of_snapshot(source.path),
        config=config,
        source={"file": source.path.name, "sha256": sha256(source.path)},
        command=shlex.join(["generate.py", *sys.argv[1:]]),
    )
    folder = export_generator(source.Gs, out, version=args.version, facts=facts)
    print(f"SavedModel in {folder}")


def _source(args):
    """Loads the network that --run, --snapshot or --pkl names."""
    if args.pkl is not None:
        return Source.of_pkl(args.pkl)
    return Source.of_snapshot(
        args.snapshot or run_folder.newest_snapshot(run_folder.locate(args.outdir, args.run))
    )


def _draws(args, Gs, seeds):
    """Latents as the flags say; `seeds` unless they are given."""
    if args.lod is not None:
        Gs.stage(args.lod)  # refuses a wrong one before anything is written
    chosen = (args.seeds, args.random_state, args.num, args.indices)
    return draws.draw(Gs.latent_size, seeds, *chosen)


def _label(args, source):
    """The label that the flags name, zeros in the original's way of drawing, or None."""
    label = source.label(args.class_, args.label)
    if label is None and args.random_state is not None:
        return np.zeros(source.label_size, np.float32)  # as in its published examples
    return label


def _film_path(args, default):
    path = film.film_path(args.out, default)
    pictures.refuse_existing(path, args.overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


COMMANDS = {
    "images": (save_images, generate_flags.of_images, "one PNG file a latent vector"),
    "grid": (save_grid, generate_flags.of_grid, "one PNG file; with labels a row a class"),
    "video": (save_video, generate_flags.of_video, "film of a walk through latent space"),
    "timelapse": (save_timelapse, generate_flags.of_timelapse, "film of a training run"),
    "project": (project, generate_flags.of_project, "latent vector of an image"),
    "export": (
        export,
        generate_flags.of_export,
        "SavedModel for TensorFlow Serving, ONNX or TFLite",
    ),
    "explore": (explore, generate_flags.of_explore, "web page to walk through a network"),
    "report": (report, generate_flags.of_report, "web page about a training run"),
}


def parse_flags(argv):
    """Parses the command line for `app.run`."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    # No abbreviations: --run would be one of flags of absl as well.
    about = {"description": summary, "epilog": details, "allow_abbrev": False}
    parser = generate_flags.Parser(prog=Path(argv[0]).name, **about)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (function, add_flags, summary) in COMMANDS.items():
        options = {"help": summary, "description": function.__doc__, "inherited_absl_flags": None}
        p = commands.add_parser(name, **options)
        p.set_defaults(command=function)
        add_flags(p)
    return parser.parse_args(argv[1:])

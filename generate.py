"""Images, films and SavedModels of a trained network: python generate.py images --seeds=0-63

Every sub-command takes its network from a run (--run, the newest one by default), a snapshot
(--snapshot) or a pickle of the original release (--pkl), and uses the moving average Gs.
"""

import json
import os
import shlex
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import numpy as np
from absl import app, logging
from tqdm import tqdm

from metrics import records
from pgtf import images
from pgtf.command_line import one_line_errors
from pgtf.export import (
    Facts,
    draws,
    edge,
    export_generator,
    film,
    flags,
    pictures,
    projection,
    sha256,
    timelapse,
    walk,
)
from pgtf.export.source import Source
from pgtf.training import run_folder

SEEDS = "0-63"
CLASS_GRID_SEEDS = "0-9"  # the columns of a grid whose rows are classes
HOLD_SEC = 2  # how long a timelapse shows its last frame


def main(args):
    logging.set_verbosity(logging.WARNING)
    with one_line_errors():
        args.command(args)


def save_images(args):
    """Writes a PNG file for every latent vector."""
    source = _source(args)
    drawn = _draws(args, source.Gs, SEEDS)
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
    drawn = _draws(args, source.Gs, CLASS_GRID_SEEDS if by_class else SEEDS)
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
    target = projection.read_target(args.target, resolution, Gs.config.num_channels)
    out = Path(args.out or source.beside(f"-{Path(args.target).stem}"))
    paths = [out / name for name in ("latents.npz", "projected.png", "side-by-side.png")]
    paths.append(film.film_path(None, out / "search"))
    for path in paths:
        pictures.refuse_existing(path, args.overwrite)
    out.mkdir(parents=True, exist_ok=True)
    found = projection.project(Gs, target, label=label, num_steps=args.steps, seed=args.seed)
    projection.save_projection(found, target, paths)
    print(f"{found.levels_off(target):.1f} of 255 gray levels off (root mean square), in {out}")


def save_timelapse(args):
    """Writes the film of a training run: its image grids, with kimg, lod and time."""
    folder = _run_folder(args)
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
        return Source.of_pkl(args.pkl)
    return Source.of_snapshot(args.snapshot or run_folder.newest_snapshot(_run_folder(args)))


def _run_folder(args):
    """The folder of the run that --run names; the newest run without it."""
    if args.run is not None:
        return run_folder.locate(args.outdir, args.run)
    numbered = [path for path in Path(args.outdir).glob("[0-9]*-*") if path.is_dir()]
    if not numbered:
        raise ValueError(f"no run in {args.outdir}. Train one with train.py, or give --run.")
    return max(numbered, key=lambda path: int(path.name.split("-")[0]))


def _draws(args, Gs, seeds):
    """Latents as the flags say; `seeds` unless they are given."""
    if args.lod is not None:
        Gs.stage(args.lod)  # refuses a wrong one before anything is written
    if args.random_state is None:
        if args.num is not None or args.indices is not None:
            raise ValueError("`--num` and `--indices` need `--random_state`.")
        return draws.draw_seeds(Gs.latent_size, seeds if args.seeds is None else args.seeds)
    if args.seeds is not None:
        raise ValueError("`--seeds` and `--random_state` exclude each other.")
    return draws.draw_random_state(Gs.latent_size, args.random_state, args.num, args.indices)


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


def parse_flags(argv):
    """Parses the command line for `app.run`."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    # No abbreviations: --run would be one of flags of absl as well.
    about = {"description": summary, "epilog": details, "allow_abbrev": False}
    parser = flags.Parser(prog=Path(argv[0]).name, **about)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        _add_images,
        _add_grid,
        _add_video,
        _add_timelapse,
        _add_project,
        _add_explore,
        _add_export,
    ):
        add(commands)
    return parser.parse_args(argv[1:])


def _add_images(commands):
    p = flags.add_command(commands, "images", save_images, "one PNG file a latent vector")
    flags.add_network_flags(p)
    flags.add_draw_flags(p, SEEDS)
    flags.add_image_flags(p)
    flags.add_out(p, "folder for the images (default: <snapshot>-images beside it)")


def _add_grid(commands):
    p = flags.add_command(commands, "grid", save_grid, "one PNG file; with labels a row a class")
    flags.add_network_flags(p)
    flags.add_draw_flags(p, f"{SEEDS}, or {CLASS_GRID_SEEDS} in a row for every class")
    flags.add_image_flags(p)
    flags.add_out(p, "file to write (default: <snapshot>-grid.png beside it)")


def _add_video(commands):
    p = flags.add_command(commands, "video", save_video, "film of a walk through latent space")
    flags.add_network_flags(p)
    flags.add_image_flags(p)
    p.add_argument(
        "--grid", type=flags.grid_size, default=(1, 1), help="COLUMNSxROWS (default: 1x1)"
    )
    p.add_argument("--zoom", type=flags.positive(int), default=1, help="repeat pixels (default: 1)")
    flags.add_fps(p, 30)
    p.add_argument(
        "--seconds", type=flags.positive(float), default=60, help="length (default: %(default)s)"
    )
    p.add_argument(
        "--smoothing",
        type=flags.positive(float),
        default=1,
        help="standard deviation of the smoothing along time, seconds (default: %(default)s)",
    )
    p.add_argument(
        "--random_state", type=int, default=1000, help="seed of the walk (default: %(default)s)"
    )
    flags.add_out(p, "file.mp4, .gif or .webp (default: <snapshot>-video beside it)")


def _add_timelapse(commands):
    p = flags.add_command(commands, "timelapse", save_timelapse, "film of a training run")
    flags.add_run_flags(p, p)
    text = "show COLUMNSxROWS images of the grids (default: all)"
    p.add_argument("--grid", type=flags.grid_size, help=text)
    flags.add_fps(p, 10)
    flags.add_out(p, "file.mp4, .gif or .webp (default: timelapse in the run's folder)")


def _add_project(commands):
    p = flags.add_command(commands, "project", project, "latent vector of an image")
    flags.add_network_flags(p)
    p.add_argument("--target", required=True, help="image file; its middle square is used")
    text = "number or name of the class (default: chosen by the search)"
    p.add_argument("--class", dest="class_", metavar="CLASS", help=text)
    p.add_argument("--label", help="the label itself, numbers with commas (default: a class)")
    text = "steps of the search (default: %(default)s)"
    p.add_argument("--steps", type=flags.positive(int), default=300, help=text)
    p.add_argument("--seed", type=int, default=0, help="of the search (default: %(default)s)")
    flags.add_out(p, "folder (default: <snapshot>-<name of the image> beside the snapshot)")


def _add_explore(commands):
    p = flags.add_command(commands, "explore", explore, "web page to walk through a network")
    network = flags.add_network_flags(p)
    network.add_argument("--saved_model", help="version folder written by export to use instead")
    text = "address to listen on; 0.0.0.0 = all (default: %(default)s)"
    p.add_argument("--host", default="127.0.0.1", help=text)
    p.add_argument("--port", type=int, help="(default: the next free one from 7860)")
    p.add_argument("--open", action="store_true", help="open it in the browser (default: no)")


def _add_export(commands):
    p = flags.add_command(commands, "export", export, "SavedModel for TensorFlow Serving")
    flags.add_network_flags(p)
    text = "savedmodel, onnx or tflite (default: %(default)s)"
    p.add_argument(
        "--format", choices=["savedmodel", *edge.FORMATS], default="savedmodel", help=text
    )
    flags.add_out(p, "folder of the model, or file of the format (default: beside the snapshot)")
    p.add_argument("--licence", default="unspecified", help="of the images (default: %(default)s)")
    p.add_argument("--version", type=int, help="number of the version (default: the next free)")
    p.add_argument("--name", help="name of the model (default: the name of its folder)")


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)

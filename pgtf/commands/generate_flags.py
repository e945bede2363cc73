"""Images, films and SavedModels of a trained network: python generate.py images --seeds=0-63

Every sub-command takes its network from a run (--run, the newest one by default), a snapshot
(--snapshot) or a pickle of the original release (--pkl), and uses the moving average Gs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from pgtf.commands import generate_publish_flags as publish_flags
from pgtf.commands.command_line import announce_tensorflow, one_line_errors
from pgtf.commands.generate_parts import (
    LATENTS,
    add_directions,
    add_directions_file,
    add_fps,
    add_image_flags,
    add_label_flags,
    add_latent_flags,
    add_latents_file,
    add_mark,
    add_network_flags,
    add_out,
    add_preview,
    add_run_flags,
    add_zoom,
    grid_size,
    positive,
)
from pgtf.commands.parsers import Parser, check_files, resolve_hub
from pgtf.dataset.commands import add_depth
from pgtf.export import samples
from pgtf.installation import command
from pgtf.runs import run_folder

SEEDS = "0-63"
IMAGE_FORMATS = ("png", "tiff", "npy")  # those of export.image_files
FORMATS = ("savedmodel", "onnx", "tflite", "web")  # onnx and tflite are those of export.edge
CLASS_GRID_SEEDS = "0-9"  # the columns of a grid with one row per class
ABOUT_RUNS = ("timelapse", "report")  # commands that need no snapshot
SMOOTHING_SEC, WALK_STATE = 1, 1000  # the original's interpolation videos


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parses a command line, the name of the script included. `command` is the sub-command."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = Parser(prog=command("generate"), description=summary, epilog=details)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, (add_flags, title, description) in COMMANDS.items():
        add_flags(commands.add_parser(name, help=title, description=description))
    args: argparse.Namespace = parser.parse_args(argv[1:])
    with one_line_errors():
        if "random_state" in args:
            samples.check_flags(**{name: getattr(args, name, None) for name in LATENTS})
        resolve_hub(args)
        check_files(
            args,
            "snapshot",
            "pkl",
            "target",
            "latents",
            "file",
            "scores",
            "classifier",
            "directions",
            "check",
            folders=["saved_model", "reals"],
        )
        others = ("snapshot", "pkl", "saved_model")
        is_alone = _needs_no_network(args)
        if not is_alone and all(getattr(args, name, None) is None for name in others):
            run = run_folder.locate(args.outdir, args.run)
            if args.command not in ABOUT_RUNS:
                run_folder.newest_snapshot(run)
    announce_tensorflow()
    return args


def _needs_no_network(args: argparse.Namespace) -> bool:
    """True for a command about a file, if no run is named."""
    return (
        "run" in args
        and args.run is None
        and ("file" in args or bool(getattr(args, "check", None)))
    )


def add_images(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `images`."""
    add_network_flags(p)
    add_latent_flags(p, SEEDS)
    add_directions(p)
    add_image_flags(p)
    add_zoom(p, "1", 1)
    add_preview(p, "write such pictures of 8 bits")
    text = "png, tiff or npy (default: png for 1 or 3 channels of integers, npy for others)"
    p.add_argument("--format", choices=IMAGE_FORMATS, help=text)
    add_mark(p)
    add_out(p, "folder for the images (default: <snapshot>-images beside it)")


def add_grid(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `grid`."""
    add_network_flags(p)
    add_latent_flags(p, f"{SEEDS}; {CLASS_GRID_SEEDS} with one row per class")
    add_directions(p)
    add_image_flags(p)
    add_zoom(p, "the smallest that makes the longer side 640 pixels or more")
    add_preview(p, "show")
    add_mark(p)
    add_out(p, "file to write (default: <snapshot>-grid.png beside it)")


def add_video(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `video`."""
    add_network_flags(p)
    add_image_flags(p)
    p.add_argument("--grid", type=grid_size, default=(1, 1), help="COLUMNSxROWS (default: 1x1)")
    add_zoom(p, "1", 1)
    add_preview(p, "show")
    add_fps(p, 30)
    p.add_argument(
        "--seconds",
        type=positive(float),
        default=60,
        help="length of the film (default: %(default)s)",
    )
    text = "walk from seed to seed, such as 1,7,3 (default: a random walk, which is a loop)"
    p.add_argument("--seeds", help=text)
    add_latents_file(p)
    add_directions(p)
    p.add_argument("--loop", action="store_true", help="end at the first seed (default: the last)")
    text = "random walk: standard deviation of the smoothing along time, seconds (default: "
    p.add_argument("--smoothing", type=positive(float), help=f"{text}{SMOOTHING_SEC})")
    text = f"random walk: random seed (default: {WALK_STATE})"
    p.add_argument("--random_state", type=int, help=text)
    add_mark(p)
    add_out(p, "file.mp4, .gif or .webp (default: <snapshot>-video beside it)")


def add_timelapse(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `timelapse`."""
    add_run_flags(p, p)
    text = "show COLUMNSxROWS images of the grids (default: all)"
    p.add_argument("--grid", type=grid_size, help=text)
    add_fps(p, 10)
    add_mark(p)
    add_out(p, "file.mp4, .gif or .webp (default: timelapse in the run's folder)")


def add_project(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `project`."""
    add_network_flags(p)
    p.add_argument("--target", required=True, help="image file; its middle square is used")
    add_depth(p)
    add_label_flags(p, "chosen by the search")
    text = "steps of the search (default: %(default)s)"
    p.add_argument("--steps", type=positive(int), default=300, help=text)
    p.add_argument(
        "--seed", type=int, default=0, help="random seed of the search (default: %(default)s)"
    )
    add_mark(p)
    add_out(p, "folder (default: <snapshot>-<name of the image> beside the snapshot)")


def add_explore(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `explore`."""
    network = add_network_flags(p)
    network.add_argument("--saved_model", help="folder written by export to use instead")
    add_directions_file(p)
    text = "address to listen on; 0.0.0.0 = all (default: %(default)s)"
    p.add_argument("--host", default="127.0.0.1", help=text)
    text = "port to listen on (default: the next free one from 7860)"
    p.add_argument("--port", type=int, help=text)
    text = "open the page in the browser (default: no)"
    p.add_argument("--open", action="store_true", help=text)


def add_export(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `export`."""
    add_network_flags(p)
    text = "savedmodel, onnx, tflite, or web: a page (default: %(default)s)"
    p.add_argument("--format", choices=FORMATS, default="savedmodel", help=text)
    add_out(p, "folder of the model, or file of the format (default: beside the snapshot)")
    text = "licence of the images, for the model card (default: %(default)s)"
    p.add_argument("--licence", default="unspecified", help=text)
    text = "number of the version (default: the next free)"
    p.add_argument("--version", type=positive(int), help=text)
    p.add_argument("--name", help="name of the model (default: the name of its folder)")
    add_directions_file(p)
    text = "web: folder of the npm package onnxruntime-web, or cdn (needed)"
    p.add_argument("--runtime", metavar="DIR|cdn", help=text)
    text = "web: how weights are stored, fp32 or fp16 (default: %(default)s)"
    p.add_argument("--precision", choices=("fp32", "fp16"), default="fp32", help=text)
    add_mark(p, "short")


def add_report(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `report`."""
    add_run_flags(p, p)
    add_out(p, "file to write (default: report.html in the run's folder)")


# Sub-commands: the function that adds their flags, their line in the list, their description.
COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str, str]] = {
    "images": (
        add_images,
        "one PNG file per latent vector",
        "Writes one PNG file for every latent vector.",
    ),
    "grid": (
        add_grid,
        "one PNG file; with labels, one row per class",
        "Writes one PNG file with all images; for a network with labels, one row per class.",
    ),
    "video": (
        add_video,
        "film of a walk through latent space",
        "Writes a film of a walk through latent space that ends where it began.",
    ),
    "timelapse": (
        add_timelapse,
        "film of a training run",
        "Writes the film of a training run: its image grids, with kimg, lod and time.",
    ),
    "project": (
        add_project,
        "latent vector of an image",
        "Finds the latent vector whose image is closest to a given one; writes it, pictures, film.",
    ),
    "whatis": (
        publish_flags.add_whatis,
        "what a file says about its pixels",
        "Reads the mark of a generated file; given the network, generates the picture again.",
    ),
    "directions": (
        publish_flags.add_find,
        "directions that change one thing in the images",
        "Finds directions in latent space; writes them as named vectors, and a sheet.",
    ),
    "fakeset": (
        publish_flags.add_fakeset,
        "many images in shards, with a manifest",
        "Writes a reference set: many images in shards with a manifest; may be interrupted.",
    ),
    "push": (
        publish_flags.add_push,
        "folder for a model hub, and its upload",
        "Writes a folder for the Hugging Face Hub with a model card, and uploads it.",
    ),
    "export": (
        add_export,
        "SavedModel for TensorFlow Serving, ONNX, TFLite or a web page",
        "Writes a SavedModel for TensorFlow Serving, after checking it in a fresh process.",
    ),
    "explore": (
        add_explore,
        "web page to walk through a network",
        "Opens a local web page to walk through a network.",
    ),
    "report": (
        add_report,
        "web page about a training run",
        "Writes one HTML page about a training run that needs nothing else.",
    ),
}

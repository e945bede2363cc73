"""Images, films and SavedModels of a trained network: python generate.py images --seeds=0-63

Every sub-command takes its network from a run (--run, the newest one by default), a snapshot
(--snapshot) or a pickle of the original release (--pkl), and uses the moving average Gs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from pgtf.commands.command_line import announce_tensorflow, one_line_errors
from pgtf.commands.parsers import Parser, check_files
from pgtf.dataset.commands import add_depth
from pgtf.installation import command
from pgtf.runs import run_folder

SEEDS = "0-63"
IMAGE_FORMATS = ("png", "tiff", "npy")  # those of export.image_files
FORMATS = ("savedmodel", "onnx", "tflite")  # the last two are those of export.edge
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
        check_files(args, "snapshot", "pkl", "target", "latents", folders=["saved_model"])
        if all(getattr(args, name, None) is None for name in ("snapshot", "pkl", "saved_model")):
            run = run_folder.locate(args.outdir, args.run)
            if args.command not in ABOUT_RUNS:
                run_folder.newest_snapshot(run)
    announce_tensorflow()
    return args


def add_images(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `images`."""
    _add_network_flags(p)
    _add_latent_flags(p, SEEDS)
    _add_image_flags(p)
    _add_zoom(p, "1", 1)
    _add_preview(p, "write such pictures of 8 bits")
    text = "png, tiff or npy (default: png for 1 or 3 channels of integers, npy for others)"
    p.add_argument("--format", choices=IMAGE_FORMATS, help=text)
    _add_out(p, "folder for the images (default: <snapshot>-images beside it)")


def add_grid(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `grid`."""
    _add_network_flags(p)
    _add_latent_flags(p, f"{SEEDS}; {CLASS_GRID_SEEDS} with one row per class")
    _add_image_flags(p)
    _add_zoom(p, "the smallest that makes the longer side 640 pixels or more")
    _add_preview(p, "show")
    _add_out(p, "file to write (default: <snapshot>-grid.png beside it)")


def add_video(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `video`."""
    _add_network_flags(p)
    _add_image_flags(p)
    p.add_argument("--grid", type=_grid_size, default=(1, 1), help="COLUMNSxROWS (default: 1x1)")
    _add_zoom(p, "1", 1)
    _add_preview(p, "show")
    _add_fps(p, 30)
    p.add_argument(
        "--seconds",
        type=_positive(float),
        default=60,
        help="length of the film (default: %(default)s)",
    )
    text = "walk from seed to seed, such as 1,7,3 (default: a random walk, which is a loop)"
    p.add_argument("--seeds", help=text)
    _add_latents_file(p)
    p.add_argument("--loop", action="store_true", help="end at the first seed (default: the last)")
    text = "random walk: standard deviation of the smoothing along time, seconds (default: "
    p.add_argument("--smoothing", type=_positive(float), help=f"{text}{SMOOTHING_SEC})")
    text = f"random walk: random seed (default: {WALK_STATE})"
    p.add_argument("--random_state", type=int, help=text)
    _add_out(p, "file.mp4, .gif or .webp (default: <snapshot>-video beside it)")


def add_timelapse(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `timelapse`."""
    _add_run_flags(p, p)
    text = "show COLUMNSxROWS images of the grids (default: all)"
    p.add_argument("--grid", type=_grid_size, help=text)
    _add_fps(p, 10)
    _add_out(p, "file.mp4, .gif or .webp (default: timelapse in the run's folder)")


def add_project(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `project`."""
    _add_network_flags(p)
    p.add_argument("--target", required=True, help="image file; its middle square is used")
    add_depth(p)
    _add_label_flags(p, "chosen by the search")
    text = "steps of the search (default: %(default)s)"
    p.add_argument("--steps", type=_positive(int), default=300, help=text)
    p.add_argument(
        "--seed", type=int, default=0, help="random seed of the search (default: %(default)s)"
    )
    _add_out(p, "folder (default: <snapshot>-<name of the image> beside the snapshot)")


def add_explore(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `explore`."""
    network = _add_network_flags(p)
    network.add_argument("--saved_model", help="folder written by export to use instead")
    text = "address to listen on; 0.0.0.0 = all (default: %(default)s)"
    p.add_argument("--host", default="127.0.0.1", help=text)
    text = "port to listen on (default: the next free one from 7860)"
    p.add_argument("--port", type=int, help=text)
    text = "open the page in the browser (default: no)"
    p.add_argument("--open", action="store_true", help=text)


def add_export(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `export`."""
    _add_network_flags(p)
    text = "savedmodel, onnx or tflite (default: %(default)s)"
    p.add_argument("--format", choices=FORMATS, default="savedmodel", help=text)
    _add_out(p, "folder of the model, or file of the format (default: beside the snapshot)")
    text = "licence of the images, for the model card (default: %(default)s)"
    p.add_argument("--licence", default="unspecified", help=text)
    text = "number of the version (default: the next free)"
    p.add_argument("--version", type=_positive(int), help=text)
    p.add_argument("--name", help="name of the model (default: the name of its folder)")


def add_report(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `report`."""
    _add_run_flags(p, p)
    _add_out(p, "file to write (default: report.html in the run's folder)")


def _add_network_flags(p: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Adds the flags that name the network. Returns the group, of which one may be given."""
    network = p.add_mutually_exclusive_group()
    _add_run_flags(p, network)
    network.add_argument("--snapshot", help="network-snapshot-NNNNNN.h5 to use instead of a run's")
    network.add_argument("--pkl", help="network pickle of the original release to use instead")
    return network


def _add_run_flags(p: argparse.ArgumentParser, group: argparse._ActionsContainer) -> None:
    text = "folder of a run, or its number in --outdir (default: the newest)"
    group.add_argument("--run", nargs="?", help=text)
    p.add_argument("--outdir", default="results", help="folder of the runs (default: %(default)s)")


def _add_latent_flags(p: argparse.ArgumentParser, seeds: str) -> None:
    text = f"numbers and ranges, one latent vector per number (default: {seeds})"
    p.add_argument("--seeds", help=text)
    text = "sample latents as the original release, with this seed for NumPy (default: no)"
    p.add_argument("--random_state", type=int, help=text)
    text = "number of latents with --random_state (default: 1000)"
    p.add_argument("--num", type=int, help=text)
    p.add_argument("--indices", help="positions among these latents, as in --seeds (default: all)")
    _add_latents_file(p)


def _add_latents_file(p: argparse.ArgumentParser) -> None:
    text = "latent vectors of a file: .npy [N, L], or .npz as project writes (default: no)"
    p.add_argument("--latents", metavar="FILE", help=text)


def _add_image_flags(p: argparse.ArgumentParser) -> None:
    _add_label_flags(p, "all in turn")
    text = "level of detail, 0 = full resolution (default: the network's)"
    p.add_argument("--lod", type=float, help=text)


def _add_zoom(p: argparse.ArgumentParser, text: str, default: int | None = None) -> None:
    text = f"repeat each pixel so many times each way (default: {text})"
    p.add_argument("--zoom", type=_positive(int), default=default, help=text)


def _add_preview(p: argparse.ArgumentParser, verb: str) -> None:
    text = f"{verb} of one channel, of three, or in a color map: 0, 3,2,1, viridis (default: "
    default = "the images themselves)" if verb != "show" else "the first channels)"
    p.add_argument("--preview", metavar="MAPPING", help=text + default)


def _add_label_flags(p: argparse.ArgumentParser, default: str) -> None:
    text = f"number or name of the class (default: {default})"
    p.add_argument("--class", dest="class_", metavar="CLASS", help=text)
    text = "the label itself: age=63,sex=1, or all its numbers with commas (default: a class)"
    p.add_argument("--label", help=text)


def _add_out(p: argparse.ArgumentParser, text: str) -> None:
    p.add_argument("--out", help=text)
    p.add_argument("--overwrite", action="store_true", help="replace existing files (default: no)")


def _add_fps(p: argparse.ArgumentParser, default: float) -> None:
    text = "frames per second (default: %(default)s)"
    p.add_argument("--fps", type=_positive(float), default=default, help=text)


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """Makes a type of argument: a finite number above 0."""

    def parse(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    parse.__name__ = f"{kind.__name__} above 0"  # argparse names it in the error.
    return parse


def _grid_size(text: str) -> tuple[int, int]:
    """Parses a grid size: "3x2" -> (3, 2)."""
    columns, rows = (int(number) for number in text.split("x"))
    if columns < 1 or rows < 1:
        raise ValueError
    return columns, rows


_grid_size.__name__ = "COLUMNSxROWS"


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
    "export": (
        add_export,
        "SavedModel for TensorFlow Serving, ONNX or TFLite",
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

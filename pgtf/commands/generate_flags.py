"""Flags of the sub-commands of generate.py."""

from absl.flags import argparse_flags

from pgtf.export.edge import FORMATS

SEEDS = "0-63"
CLASS_GRID_SEEDS = "0-9"  # the columns of a grid whose rows are classes


class Parser(argparse_flags.ArgumentParser):
    """Reports bad flags in one line."""

    def error(self, message):
        self.exit(2, f"error: {message} ({self.prog} --help lists the flags)\n")


def of_images(p):
    _add_network_flags(p)
    _add_draw_flags(p, SEEDS)
    _add_image_flags(p)
    _add_out(p, "folder for the images (default: <snapshot>-images beside it)")


def of_grid(p):
    _add_network_flags(p)
    _add_draw_flags(p, f"{SEEDS}, or {CLASS_GRID_SEEDS} in a row for every class")
    _add_image_flags(p)
    _add_out(p, "file to write (default: <snapshot>-grid.png beside it)")


def of_video(p):
    _add_network_flags(p)
    _add_image_flags(p)
    p.add_argument("--grid", type=_grid_size, default=(1, 1), help="COLUMNSxROWS (default: 1x1)")
    p.add_argument("--zoom", type=_positive(int), default=1, help="repeat pixels (default: 1)")
    _add_fps(p, 30)
    p.add_argument(
        "--seconds", type=_positive(float), default=60, help="length (default: %(default)s)"
    )
    p.add_argument(
        "--smoothing",
        type=_positive(float),
        default=1,
        help="standard deviation of the smoothing along time, seconds (default: %(default)s)",
    )
    p.add_argument(
        "--random_state", type=int, default=1000, help="seed of the walk (default: %(default)s)"
    )
    _add_out(p, "file.mp4, .gif or .webp (default: <snapshot>-video beside it)")


def of_timelapse(p):
    _add_run_flags(p, p)
    text = "show COLUMNSxROWS images of the grids (default: all)"
    p.add_argument("--grid", type=_grid_size, help=text)
    _add_fps(p, 10)
    _add_out(p, "file.mp4, .gif or .webp (default: timelapse in the run's folder)")


def of_project(p):
    _add_network_flags(p)
    p.add_argument("--target", required=True, help="image file; its middle square is used")
    text = "number or name of the class (default: chosen by the search)"
    p.add_argument("--class", dest="class_", metavar="CLASS", help=text)
    p.add_argument("--label", help="the label itself, numbers with commas (default: a class)")
    text = "steps of the search (default: %(default)s)"
    p.add_argument("--steps", type=_positive(int), default=300, help=text)
    p.add_argument("--seed", type=int, default=0, help="of the search (default: %(default)s)")
    _add_out(p, "folder (default: <snapshot>-<name of the image> beside the snapshot)")


def of_explore(p):
    network = _add_network_flags(p)
    network.add_argument("--saved_model", help="folder written by export to use instead")
    text = "address to listen on; 0.0.0.0 = all (default: %(default)s)"
    p.add_argument("--host", default="127.0.0.1", help=text)
    p.add_argument("--port", type=int, help="(default: the next free one from 7860)")
    p.add_argument("--open", action="store_true", help="open it in the browser (default: no)")


def of_export(p):
    _add_network_flags(p)
    text = "savedmodel, onnx or tflite (default: %(default)s)"
    p.add_argument("--format", choices=["savedmodel", *FORMATS], default="savedmodel", help=text)
    _add_out(p, "folder of the model, or file of the format (default: beside the snapshot)")
    p.add_argument("--licence", default="unspecified", help="of the images (default: %(default)s)")
    text = "number of the version (default: the next free)"
    p.add_argument("--version", type=_positive(int), help=text)
    p.add_argument("--name", help="name of the model (default: the name of its folder)")


def of_report(p):
    _add_run_flags(p, p)
    _add_out(p, "file to write (default: report.html in the run's folder)")


def _add_network_flags(p):
    """Adds where the network comes from: -> the group, of which one may be given."""
    network = p.add_mutually_exclusive_group()
    _add_run_flags(p, network)
    network.add_argument("--snapshot", help="network-snapshot-NNNNNN.h5 to use instead of a run's")
    network.add_argument("--pkl", help="network pickle of the original release to use instead")
    return network


def _add_run_flags(p, group):
    text = "folder of a run, or its number in --outdir (default: the newest)"
    group.add_argument("--run", nargs="?", help=text)
    p.add_argument("--outdir", default="results", help="where runs are (default: %(default)s)")


def _add_draw_flags(p, seeds):
    text = f"numbers and ranges, a latent vector for each (default: {seeds})"
    p.add_argument("--seeds", help=text)
    p.add_argument("--random_state", type=int, help="draw latents as the original: NumPy's seed")
    p.add_argument("--num", type=int, help="latents drawn with --random_state (default: 1000)")
    p.add_argument("--indices", help="which of them to use, as --seeds (default: all)")


def _add_image_flags(p):
    text = "number or name of the class (default: all in turn)"
    p.add_argument("--class", dest="class_", metavar="CLASS", help=text)
    p.add_argument("--label", help="the label itself, numbers with commas (default: a class)")
    text = "level of detail, 0 = full resolution (default: the network's)"
    p.add_argument("--lod", type=float, help=text)


def _add_out(p, text):
    p.add_argument("--out", help=text)
    p.add_argument("--overwrite", action="store_true", help="replace files (default: no)")


def _add_fps(p, default):
    text = "frames per second (default: %(default)s)"
    p.add_argument("--fps", type=_positive(float), default=default, help=text)


def _positive(kind):
    """A type of argument: a number above 0."""

    def parse(text):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    parse.__name__ = f"{kind.__name__} above 0"  # argparse names it in the error
    return parse


def _grid_size(text):
    """A type of argument: "3x2" -> (3, 2)."""
    columns, rows = (int(number) for number in text.split("x"))
    if columns < 1 or rows < 1:
        raise ValueError
    return columns, rows


_grid_size.__name__ = "COLUMNSxROWS"

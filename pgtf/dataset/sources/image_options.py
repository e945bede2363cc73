"""Options of create_from_images, and the flags for them."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Literal

from pgtf.dataset.commands import add_conversion, add_depth, natural, positive
from pgtf.dataset.description import DTYPE
from pgtf.dataset.sources.deep import PERCENTILES, parse_percentiles
from pgtf.dataset.sources.label_tables import LabelOptions
from pgtf.dataset.sources.pictures import Alpha, Transform
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.splits import check_split
from pgtf.dataset.tfrecords import DTYPES
from pgtf.foreign.limits import MAX_PIXELS


@dataclasses.dataclass(frozen=True)
class ImageOptions:
    """Options of the conversion. The defaults change nothing, as in the original release."""

    shuffle: bool = True
    resolution: int | None = None  # pixels; None = that of the first image
    transform: Transform = "none"  # fits images of another size
    channels: int | None = None  # 1 or 3; None = those of the first image
    alpha: Alpha = "error"  # treatment of transparent pixels
    labels: str | None = None  # "folders", or a .csv, .json or .npy file; None = unlabelled
    max_images: int | None = None
    max_errors: int = 0  # unusable files to skip; one more ends the job
    value_range: Range | Literal["auto"] | None = None  # stored values that become black and white
    pages: Literal["first", "all"] = "first"  # of TIFF files and animations
    pad: str | None = None  # color of the bars of `transform` pad; None = that of `alpha`, or black
    max_pixels: int = MAX_PIXELS  # of a file
    table: LabelOptions = LabelOptions()  # parts of a table of labels that are used
    held_out: str | None = None  # number or share of images that training never sees
    split_by: str | None = None  # "folder", or a column: the images of a group stay together
    dtype: str = DTYPE  # of the dataset: uint16 and float32 keep the stored values
    percentiles: Range = PERCENTILES  # of all values, which are the range of such a dataset

    def __post_init__(self) -> None:
        check_split(self.held_out, self.split_by)

    @property
    def strict(self) -> bool:
        """True if files must be plain RGB or gray already, as for the original."""
        conversions = (self.resolution, self.channels, self.transform, self.alpha)
        return (*conversions, self.value_range) == (None, None, "none", "error", None)


def add_flags(p: argparse.ArgumentParser) -> None:
    """Adds the flags to a command."""
    p.add_argument("--shuffle", type=int, choices=(0, 1), default=1, help="(default: %(default)s)")
    add_conversion(p)
    add_depth(p, auto=True)
    help = (
        "type of the dataset's values: uint16 and float32 keep those that are stored "
        "(default: %(default)s)"
    )
    p.add_argument("--dtype", choices=(*DTYPES,), default=DTYPE, help=help)
    add_percentiles(p)
    p.add_argument(
        "--pages",
        choices=("first", "all"),
        default="first",
        help="pictures to take from TIFF files and animations (default: %(default)s)",
    )
    p.add_argument("--max_images", type=positive, help="images to write at most (default: all)")
    add_labels(p, "folder|COLUMN", "any images")
    help = "unusable files to skip and list (default: %(default)s)"
    p.add_argument("--max_errors", type=natural, default=0, help=help)


def add_labels(p: argparse.ArgumentParser, split_by: str, usual: str) -> None:
    """Adds the flags for labels, and for images that are held out.

    Args:
        p: parser.
        split_by: choices of --split_by, for the help.
        usual: groups that are held out without it.
    """
    help = (
        "folders: the name of an image's folder is its class; or a .csv, .tsv, .json or .npy file "
        "(default: unlabelled)"
    )
    p.add_argument("--labels", help=help)
    p.add_argument(
        "--file_column",
        metavar="NAME",
        help="column of a .csv file that names files (default: 1st)",
    )
    p.add_argument(
        "--label_columns",
        metavar="NAME,...",
        type=lambda text: tuple(text.split(",")),
        default=(),
        help="columns of a .csv file that are labels (default: all others)",
    )
    p.add_argument(
        "--header",
        type=int,
        choices=(0, 1),
        default=1,
        help="0: the first line of a .csv file names no columns (default: %(default)s)",
    )
    help = "number or share of images that training never sees, for metrics (default: none)"
    p.add_argument("--held_out", metavar="N|SHARE", help=help)
    p.add_argument(
        "--split_by",
        metavar=split_by,
        help="hold out whole folders, or all images with the same text in this column of the .csv "
        f"file of --labels, such as a patient (default: {usual})",
    )


def add_percentiles(p: argparse.ArgumentParser) -> None:
    """Adds the flag for the range of images that are not of 8 bits."""
    help = (
        "percentiles of all values of the set that are the range of uint16 and float32 without "
        f"--range (default: {PERCENTILES[0]},{PERCENTILES[1]})"
    )
    p.add_argument(
        "--percentiles", type=parse_percentiles, metavar="LOW,HIGH", default=PERCENTILES, help=help
    )


def options_of(args: argparse.Namespace) -> ImageOptions:
    """Returns the options that flags chose."""
    names = {field.name for field in dataclasses.fields(ImageOptions)} - {"table"}
    return ImageOptions(table=table_of(args), **{name: getattr(args, name) for name in names})


def table_of(args: argparse.Namespace) -> LabelOptions:
    """Returns the parts of a table of labels that flags chose."""
    return LabelOptions(args.file_column, args.label_columns, bool(args.header))

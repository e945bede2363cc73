"""Options of create_from_arrays, and the flags for them."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Literal

from pgtf.dataset.commands import natural, positive
from pgtf.dataset.sources.deep import PERCENTILES
from pgtf.dataset.sources.image_options import add_labels, add_percentiles, table_of
from pgtf.dataset.sources.label_tables import LabelOptions
from pgtf.dataset.sources.nifti import AXES
from pgtf.dataset.sources.pictures import Transform
from pgtf.dataset.sources.ranges import Range, parse_range_or_auto
from pgtf.dataset.splits import check_split
from pgtf.dataset.tfrecords import DTYPES

LAYOUTS = ("NHWC", "NCHW", "NHW", "HWC", "CHW")


@dataclasses.dataclass(frozen=True)
class ArrayOptions:
    """Options of the conversion; the defaults keep all values."""

    layout: str = "NHWC"  # axes of arrays
    axis: str = "z"  # of volumes: images are slices across it
    dtype: str | None = None  # None = the smallest that holds all values
    value_range: Range | Literal["auto"] | None = None  # values that are -1 and 1 to networks
    percentiles: Range = PERCENTILES  # of all values, which are the range unless it is given
    resolution: int | None = None  # pixels; None = the size of the first image
    transform: Transform = "none"  # fits images of another size
    with_masks: str | None = None  # folder or file of masks, which become channels
    shuffle: bool = True
    labels: str | None = None  # "folders", or a .csv, .json or .npy file; None = unlabelled
    table: LabelOptions = LabelOptions()  # parts of a table of labels that are used
    max_images: int | None = None
    max_errors: int = 0  # unusable files to skip; one more ends the job
    held_out: str | None = None  # number or share of images that training never sees
    split_by: str | None = None  # "subject", "folder" or a column; None = subject

    def __post_init__(self) -> None:
        if self.transform != "none" and self.resolution is None:
            raise ValueError(
                f"`transform` needs a resolution. Received: transform={self.transform}. "
                "Add, for example, --resolution=256."
            )
        check_split(self.held_out, self.split_by)


def add_flags(p: argparse.ArgumentParser) -> None:
    """Adds the flags to a command."""
    help = (
        "axes of .npy and .npz files: images, rows, columns, channels; those with fewer lack "
        "images or channels (default: %(default)s)"
    )
    p.add_argument("--layout", choices=LAYOUTS, default="NHWC", help=help)
    help = "axis of volumes that their slices lie across (default: %(default)s)"
    p.add_argument("--axis", choices=(*AXES,), default="z", help=help)
    help = "type of the dataset's values (default: the first that holds all values as they are)"
    p.add_argument("--dtype", choices=(*DTYPES,), help=help)
    help = (
        "values that are -1 and 1 to the networks; auto: the lowest and highest of all files; "
        "uint8 stretches them to 0 to 255 (default: see --percentiles)"
    )
    p.add_argument(
        "--range",
        dest="value_range",
        metavar="LOW,HIGH|auto",
        type=parse_range_or_auto,
        help=help,
    )
    add_percentiles(p)
    help = "pixels, a power of two; with --grid, the images are so many quarters of it"
    p.add_argument("--resolution", type=positive, help=f"{help} (default: as the first image)")
    p.add_argument(
        "--transform",
        choices=("none", "center-crop", "pad", "resize"),
        default="none",
        help="how to fit images of another size (default: %(default)s)",
    )
    help = "folder of masks with the names of the files: each of their values becomes a channel"
    p.add_argument("--with_masks", metavar="DIR", help=help)
    p.add_argument("--shuffle", type=int, choices=(0, 1), default=1, help="(default: %(default)s)")
    add_labels(p, "subject|folder|COLUMN", "patients or volumes")
    p.add_argument("--max_images", type=positive, help="images to write at most (default: all)")
    help = "unusable files to skip and list (default: %(default)s)"
    p.add_argument("--max_errors", type=natural, default=0, help=help)


def options_of(args: argparse.Namespace) -> ArrayOptions:
    """Returns the options that flags chose."""
    names = {field.name for field in dataclasses.fields(ArrayOptions)} - {"table"}
    return ArrayOptions(table=table_of(args), **{name: getattr(args, name) for name in names})

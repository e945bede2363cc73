"""Creates and inspects datasets: multi-resolution TFRecords, the same as the original release's.

    python dataset_tool.py create_from_images datasets/cats ~/cats --resolution=128 \\
        --transform=center-crop --channels=3

Every command explains itself: python dataset_tool.py COMMAND --help
"""

import argparse
import dataclasses
import io
import os
import sys
from collections.abc import Sequence

from pgtf.commands.command_line import one_line_errors
from pgtf.dataset.celebahq.command import add_command as add_celebahq
from pgtf.dataset.commands import Commands, add_conversion, natural, positive
from pgtf.dataset.exporter import Options, Summary
from pgtf.dataset.faces.alignment import Network
from pgtf.dataset.faces.builder import RANKING
from pgtf.dataset.faces.command import add_commands as add_faces
from pgtf.dataset.partial import SUFFIX


def main(argv: Sequence[str] | None = None) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be no text
    args = make_parser().parse_args(argv)
    with one_line_errors():
        try:
            args.run(args)
        except KeyboardInterrupt:
            print(f"\ninterrupted.{remedy(args)}", file=sys.stderr)
            sys.exit(130)  # as shells report Ctrl-C
        except (ValueError, OSError) as error:
            raise ValueError(f"{error}{remedy(args, str(error))}") from error


def remedy(args: argparse.Namespace, message: str = "") -> str:
    """What to do about a job that was not completed, unless the message says what."""
    target = (getattr(args, "tfrecord_dir", "") or getattr(args, "out", None) or "").rstrip("/")
    for partial in (target + RANKING + SUFFIX, target + SUFFIX):
        if os.path.isdir(partial) and not message.startswith(f"{partial}: "):
            return f" {partial} keeps what is done; --resume continues."
    return ""


def make_parser() -> argparse.ArgumentParser:
    """All commands, with the original's names and order of arguments."""
    parser = argparse.ArgumentParser(
        prog="dataset_tool.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = Commands(parser.add_subparsers(metavar="COMMAND", required=True))
    add_inspection(commands)
    add_small_images(commands)
    add_photographs(commands)
    add_celebahq(commands)
    add_faces(commands, open_restorer)
    add_from_images(commands)
    add_other_sources(commands)
    return parser


def open_restorer(path: str, task: str) -> Network:
    """Opens a restoration network, for create_faces."""
    from pgtf.restoration.restorer import Restorer

    # The workers inherit it; the network imports TensorFlow, whose notes nobody needs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return Restorer.open(path, task)


def add_inspection(commands: Commands) -> None:
    """display, extract, compare, verify."""

    def display(args: argparse.Namespace) -> None:
        from pgtf.dataset import inspection

        if path := inspection.display(args.tfrecord_dir, args.save):
            print(f"Contact sheet  {path}")

    p = commands.add("display", "Show the images of a dataset.", "datasets/cats", display)
    p.add_argument("tfrecord_dir", help="dataset folder")
    p.add_argument("--save", metavar="PNG", help="write a contact sheet, open no window")

    def extract(args: argparse.Namespace) -> None:
        from pgtf.dataset import inspection

        num = inspection.extract(args.tfrecord_dir, args.output_dir)
        print(f"Extracted {num} images to {args.output_dir}.")

    p = commands.add("extract", "Write the images as PNG files.", "datasets/cats cats", extract)
    p.add_argument("tfrecord_dir", help="dataset folder")
    p.add_argument("output_dir", help="folder to create")

    def compare(args: argparse.Namespace) -> None:
        from pgtf.dataset import inspection

        result = inspection.compare(args.tfrecord_dir_a, args.tfrecord_dir_b, args.ignore_labels)
        if result.num_images[0] != result.num_images[1]:
            print("Numbers of images differ: {} and {}".format(*result.num_images))
        print(f"Identical images: {result.identical_images} / {result.num_compared}")
        if result.identical_labels is not None:
            print(f"Identical labels: {result.identical_labels} / {result.num_compared}")

    p = commands.add("compare", "Compare two datasets.", "datasets/cats datasets/more", compare)
    p.add_argument("tfrecord_dir_a", help="dataset folder")
    p.add_argument("tfrecord_dir_b", help="dataset folder to compare it with")
    p.add_argument("--ignore_labels", type=int, choices=(0, 1), default=0, help="(default: 0)")

    def verify(args: argparse.Namespace) -> None:
        from pgtf.dataset import inspection

        dataset = inspection.verify(args.tfrecord_dir)
        print(
            f"{dataset.path} is whole: {dataset.num_images} images, resolutions 4 to "
            f"{dataset.resolution}, {dataset.label_size or 'no'} label columns."
        )

    p = commands.add("verify", "Check every record of a dataset.", "datasets/cats", verify)
    p.add_argument("tfrecord_dir", help="dataset folder")


def add_small_images(commands: Commands) -> None:
    """MNIST, CIFAR and SVHN."""

    def mnist(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources.mnist import create_mnist

        return create_mnist(args.tfrecord_dir, args.mnist_dir, options)

    folder = ("mnist_dir", "folder with train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz")
    commands.add_create(
        "create_mnist", "MNIST, gray 32x32.", "datasets/mnist ~/mnist", mnist, *folder
    )

    def mnistrgb(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources.mnist import create_mnistrgb

        return create_mnistrgb(
            args.tfrecord_dir, args.mnist_dir, args.num_images, args.random_seed, options
        )

    help = "MNIST digits drawn at random into the three color channels."
    example = "datasets/mnistrgb ~/mnist"
    p = commands.add_create("create_mnistrgb", help, example, mnistrgb, *folder)
    p.add_argument("--num_images", type=positive, default=1_000_000, help="(default: %(default)s)")
    p.add_argument("--random_seed", type=int, default=123, help="(default: %(default)s)")

    def cifar10(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources.cifar import create_cifar10

        return create_cifar10(args.tfrecord_dir, args.cifar10_dir, options)

    source = ("cifar10_dir", "folder with data_batch_1 to 5, or cifar-10-python.tar.gz")
    commands.add_create(
        "create_cifar10", "CIFAR-10.", "datasets/cifar10 ~/cifar10", cifar10, *source
    )

    def cifar100(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources.cifar import create_cifar100

        return create_cifar100(args.tfrecord_dir, args.cifar100_dir, options)

    source = ("cifar100_dir", "folder with train, or cifar-100-python.tar.gz")
    commands.add_create(
        "create_cifar100", "CIFAR-100.", "datasets/cifar100 ~/cifar100", cifar100, *source
    )

    def svhn(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources.svhn import create_svhn

        return create_svhn(args.tfrecord_dir, args.svhn_dir, options)

    source = ("svhn_dir", "folder with train_32x32.mat, or with train_1.pkl to train_3.pkl")
    help = "Street View House Numbers, cropped digits."
    commands.add_create("create_svhn", help, "datasets/svhn ~/svhn", svhn, *source)


def add_photographs(commands: Commands) -> None:
    """LSUN and CelebA."""

    def lsun(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources import lsun

        return lsun.create(
            args.tfrecord_dir, args.lmdb_dir, args.resolution, args.max_images, options
        )

    p = commands.add_create(
        "create_lsun",
        "A category of LSUN, centre crops.",
        "datasets/bedroom ~/lsun/bedroom_train_lmdb --resolution=256 --max_images=100000",
        lsun,
        "lmdb_dir",
        "folder with data.mdb",
    )
    p.add_argument("--resolution", type=positive, default=256, help="pixels (default: %(default)s)")
    p.add_argument("--max_images", type=positive, help="write at most so many (default: all)")

    def celeba(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources import celeba

        return celeba.create(args.tfrecord_dir, args.celeba_dir, args.cx, args.cy, options)

    source = ("celeba_dir", "folder with img_align_celeba_png")
    p = commands.add_create(
        "create_celeba", "CelebA at 128x128.", "datasets/celeba ~/celeba", celeba, *source
    )
    p.add_argument("--cx", type=int, default=89, help="center of the crop (default: %(default)s)")
    p.add_argument("--cy", type=int, default=121, help="center of the crop (default: %(default)s)")


def add_from_images(commands: Commands) -> None:
    """A folder of image files."""

    def create(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources import images

        names = [field.name for field in dataclasses.fields(images.ImageOptions)]
        chosen = images.ImageOptions(**{name: getattr(args, name) for name in names})
        return images.create(args.tfrecord_dir, args.image_dir, chosen, options)

    p = commands.add_create(
        "create_from_images",
        "The image files in a folder and the folders below it.",
        "datasets/cats ~/cats --resolution=128 --transform=center-crop --channels=3",
        create,
        "image_dir",
        "folder of images; without the flags below they must be RGB or gray and all of one size, "
        "square, a power of two",
    )
    p.add_argument("--shuffle", type=int, choices=(0, 1), default=1, help="(default: %(default)s)")
    add_conversion(p)
    p.add_argument(
        "--labels",
        help="folders: the name of an image's folder is its class; or a .csv, .json or .npy file "
        "(default: unlabelled)",
    )
    p.add_argument("--max_images", type=positive, help="write at most so many (default: all)")
    p.add_argument(
        "--max_errors",
        type=natural,
        default=0,
        help="skip so many unusable files, and list them (default: %(default)s)",
    )


def add_other_sources(commands: Commands) -> None:
    """HDF5 files, TFDS and the demo."""

    def hdf5(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources import hdf5

        return hdf5.create(args.tfrecord_dir, args.hdf5_filename, bool(args.shuffle), options)

    p = commands.add_create(
        "create_from_hdf5",
        "An HDF5 file of the 2017 release.",
        "datasets/cats ~/cats.h5",
        hdf5,
        "hdf5_filename",
        "HDF5 file; labels are taken from NAME-labels.npy beside it",
    )
    p.add_argument("--shuffle", type=int, choices=(0, 1), default=1, help="(default: %(default)s)")

    def tfds(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources import pictures, tfds

        conversion = pictures.Conversion(
            args.channels, args.resolution, args.transform, args.alpha, strict=False
        )
        return tfds.create(args.tfrecord_dir, args.name, args.split, conversion, options)

    p = commands.add_create(
        "create_from_tfds",
        "A dataset of the package tensorflow-datasets.",
        "datasets/flowers tf_flowers --resolution=128",
        tfds,
        "name",
        "what the package calls it, for example tf_flowers",
    )
    p.add_argument("--split", default="train", help="(default: %(default)s)")
    add_conversion(p, channels=3, transform="center-crop")

    def demo(args: argparse.Namespace, options: Options) -> Summary:
        from pgtf.dataset.sources import demo

        return demo.create(args.tfrecord_dir, args.num_images, args.resolution, args.seed, options)

    help = "Cartoon faces, drawn here, with known factors."
    p = commands.add_create("create_demo", help, "datasets/demo", demo)
    p.add_argument("--num_images", type=positive, default=10_000, help="(default: %(default)s)")
    p.add_argument("--resolution", type=positive, default=32, help="pixels (default: %(default)s)")
    p.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")

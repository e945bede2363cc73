"""Readers of every kind of file, as the commands call them. None imports TensorFlow."""

from __future__ import annotations

from pathlib import Path

# Imported here, so that not every child must.
import h5py  # noqa: F401
import lmdb  # noqa: F401
import nibabel  # noqa: F401
import pydicom  # noqa: F401
import scipy.io  # noqa: F401
import tifffile  # noqa: F401

from pgtf.commands import dataset as dataset_tool
from pgtf.dataset.celebahq import deltas, jpeg, preflight
from pgtf.dataset.celebahq.inputs import read_image_list
from pgtf.dataset.exporter import Options
from pgtf.dataset.faces.landmarks import read_landmarks
from pgtf.dataset.sources import annotations, celeba, cifar, image_folder, lsun, mnist, svhn
from pgtf.dataset.sources.pictures import FILE_ERRORS
from pgtf.foreign import arrays
from pgtf.foreign.json_files import read_json
from pgtf.foreign.pictures import reason
from pgtf.interop import snapshots
from pgtf.interop.original import read_networks
from tests.fuzz.seeds import NUM
from tests.fuzz.seeds.pictures import pictures

ONE = Options(num_workers=1)
FITTING = image_folder.Fitting(3, 16, "center-crop", "white")


def command(*args: object) -> None:
    """Runs dataset_tool.py."""
    dataset_tool.run(dataset_tool.parse(["dataset_tool.py", *map(str, args)]))


def images(folder: Path) -> None:
    """A folder of pictures, as the metrics read it."""
    found = image_folder.open_image_folder(str(folder), FITTING)
    found.read(0, len(found.paths))


def create_from_images(folder: Path) -> None:
    """A dataset of pictures as they are."""
    command("create_from_images", folder / "cats", folder / "in", "--num_workers=1")


def create_converted(folder: Path) -> None:
    """A dataset of pictures that are converted, with labels."""
    flags = "--resolution=8 --transform=center-crop --channels=3 --alpha=white --max_errors=1"
    labels = next((f"--labels={x}" for x in folder.iterdir() if x.is_file()), "--labels=folders")
    command("create_from_images", folder / "cats", folder / "in", *flags.split(), labels)


def rank(folder: Path) -> None:
    """Ranked pictures."""
    command("rank_images", folder / "in", "--keep=2", f"--out={folder / 'out'}", "--num_workers=1")


def scans(folder: Path) -> None:
    """Arrays, volumes and scans."""
    flags = ("--dtype=float32", "--transform=center-crop", "--resolution=8", "--num_workers=1")
    command("create_from_arrays", folder / "out", folder / "in", *flags)


def faces(folder: Path) -> None:
    """Aligned faces."""
    flags = ("--resolution=16", "--min_face=0", "--keep=2", "--num_workers=1")
    command("create_faces", folder / "faces", folder / "in", folder / "landmarks.csv", *flags)


def crops(folder: Path) -> None:
    """CelebA."""
    celeba.create(str(folder / "out"), str(folder / "celeba"), options=ONE, num_images=1)


def opencv(folder: Path) -> None:
    """One entry of LSUN."""
    for path in sorted(folder.iterdir()):
        with arrays.open_regular(path) as file:
            content = file.read(1 << 24)
        try:
            lsun.decode(content, 16)
        except FILE_ERRORS as error:
            raise ValueError(f"{path}: {reason(error)}") from None


def jpeg_of_celeba(folder: Path) -> None:
    """The JPEG decoder of CelebA-HQ."""
    for path in sorted(folder.iterdir()):
        content = preflight.read_bytes(path, preflight.MAX_JPEG)
        try:
            jpeg.decode(content)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def npy(folder: Path) -> None:
    """A NumPy file."""
    arrays.read_npy(folder / "a.npy")


def npz(folder: Path) -> None:
    """A file of several arrays."""
    arrays.read_npz(folder / "a.npz")


def json_file(folder: Path) -> None:
    """Any JSON."""
    read_json(folder / "a.json")


def labels(folder: Path) -> None:
    """Labels of pictures."""
    path = next(folder.glob("labels.*"), folder / "labels.json")
    annotations.read_labels(str(path), str(folder), sorted(pictures()))


def landmarks(folder: Path) -> None:
    """Tables of faces."""
    path = next(folder.glob("landmarks.*"), folder / "landmarks.csv")
    read_landmarks(str(path), "pictures", sorted(pictures()))


def dataset(folder: Path) -> None:
    """A dataset folder."""
    command("verify", folder / "cats")


def extract(folder: Path) -> None:
    """Pictures out of a dataset folder, and its comparison with itself."""
    command("compare", folder / "cats", folder / "cats")
    command("extract", folder / "cats", folder / "out")


def resume(folder: Path) -> None:
    """A job that was interrupted."""
    command(
        "create_from_images", folder / "cats", folder / "pictures", "--resume", "--num_workers=1"
    )


def digits(folder: Path) -> None:
    """MNIST."""
    mnist.create_mnist(str(folder / "out"), str(folder), ONE, NUM)


def cifar100(folder: Path) -> None:
    """CIFAR-100, as a folder or an archive."""
    archive = folder / "cifar.tar"
    source = archive if archive.exists() else folder
    cifar.create_cifar100(str(folder / "out"), str(source), ONE, NUM)


def house_numbers(folder: Path) -> None:
    """SVHN."""
    svhn.create_svhn(str(folder / "out"), str(folder), ONE, NUM)


def hdf5(folder: Path) -> None:
    """A dataset of the 2017 release."""
    command("create_from_hdf5", folder / "cats", folder / "a.h5", "--num_workers=1")


def bedrooms(folder: Path) -> None:
    """LSUN."""
    command("create_lsun", folder / "out", folder / "lmdb", "--resolution=16", "--num_workers=1")


def celebahq(folder: Path) -> None:
    """Tables and archives of CelebA-HQ, and one delta."""
    inputs, delta_dir = str(folder / "celeba"), str(folder / "celeba-hq-deltas")
    num = len(read_image_list(delta_dir))
    found = preflight.check_inputs(
        inputs, delta_dir, num_images=num, num_zips=1, first_jpeg_md5=None, check="full"
    )
    problems = [
        x for x in found.problems if "JPEG files" not in x and "of the files needed" not in x
    ]
    if problems:
        raise ValueError(problems[0])
    try:
        token = deltas.Archives(delta_dir).read(0)
        photograph = folder / "celeba" / "img_celeba" / "000001.jpg"
        content = preflight.read_bytes(photograph, preflight.MAX_JPEG)
        deltas.open_token(token, content, photograph.name)
    except (deltas.DeltaDamaged, deltas.JpegDiffers) as error:
        raise ValueError(f"{folder}: {error}") from None


def networks(folder: Path) -> None:
    """Networks of the original releases."""
    read_networks(folder / "network.pkl")


def snapshot(folder: Path) -> None:
    """A snapshot of networks."""
    path = next(folder.glob("network-snapshot-*.h5"), folder / "network-snapshot-000000.h5")
    snapshots.load_meta(path)
    snapshots.read_snapshot(path)

"""NumPy's .npy and .npz files as stacks of images."""

from __future__ import annotations

import numpy as np

from pgtf.dataset.sources.stacks import MAX_BYTES, Reading, Stack, arranged, of_array
from pgtf.foreign.arrays import NUMBERS, read_header, read_npz
from pgtf.foreign.files import open_regular, size_of


def open_npy(path: str, reading: Reading) -> Stack:
    """Opens a .npy file, whose values stay in it until they are read.

    Raises:
        OSError, ValueError: it cannot be read, or holds no images.
    """
    with open_regular(path) as file:
        header = read_header(file, size_of(file), path)
    if not header.num_bytes:
        raise ValueError(f"holds no values, found shape {list(header.shape)}")
    order = "F" if header.fortran_order else "C"
    values = np.memmap(path, header.dtype, "r", header.offset, header.shape, order)  # type: ignore[call-overload]
    return of_array(arranged(values, reading))


def open_npz(path: str, reading: Reading) -> Stack:
    """Opens an .npz file: the images of all its arrays that have most axes, in their order.

    Others, such as class numbers, are left out.

    Raises:
        OSError, ValueError: it cannot be read, or holds no images.
    """
    found = {
        name: values
        for name, values in read_npz(path).items()
        if values.dtype.kind in NUMBERS and values.ndim >= 2 and values.size
    }
    most = max((min(values.ndim, 4) for values in found.values()), default=0)
    # Labels are [N, 1] or [N]; images have three axes or more, or all have two.
    stacks = [arranged(x, reading) for x in found.values() if x.ndim >= min(most, 3)]
    if not stacks:
        raise ValueError("holds no arrays of images")
    if len({images.shape[1:] for images in stacks}) > 1:
        shapes = {name: list(values.shape) for name, values in found.items()}
        raise ValueError(f"must have arrays of images of one shape, found {shapes}")
    images = np.concatenate(stacks)
    if images.nbytes > MAX_BYTES:
        raise ValueError(f"must have at most {MAX_BYTES >> 30} GiB of values")
    return of_array(images, images.nbytes)

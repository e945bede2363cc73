"""Finds the values that the original release computed, and says how far ours are from them.

They are read from the folder $PGTF_REFERENCE when it is set, else from the small copy in
tests/data/reference. Everything a test needs to know about a case stands in the case's own files.
"""

import dataclasses
import functools
import os
from pathlib import Path

import numpy as np

from pgtf.interop import load_pkl

ROUNDING = 5e-7  # relative; what two builds of the original differ by in the input of a unit

_COPY = Path(__file__).parent.parent / "data" / "reference"
ROOT = Path(os.environ.get("PGTF_REFERENCE", _COPY))


checked = []  # all differences that tests have checked in this process, for fidelity.py


@dataclasses.dataclass(frozen=True)
class Difference:
    """Distance of one of our results from the original's, in the unit of its tolerance."""

    what: str  # row of the table in docs/fidelity.md: "G images"
    where: str  # the case: "net-a, lod 0.50"
    value: float
    tolerance: float

    def __str__(self):
        return f"{self.what} ({self.where}): {self.value:.3g}, allowed {self.tolerance:.3g}"


def find(pattern):
    """Files of one kind below ROOT: a glob pattern -> sorted paths, at least one.

    Raises:
        FileNotFoundError: if there is none: a kind without a case must not pass unnoticed.
    """
    if not (paths := sorted(ROOT.glob(pattern))):
        raise FileNotFoundError(f"{ROOT}: no reference case {pattern}")
    return paths


@functools.lru_cache(maxsize=4)
def arrays(path):
    """All arrays of an npz file: {key: array}."""
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


@functools.lru_cache(maxsize=2)
def networks(path):
    """The networks of a pickle: {"G": ..., "D": ..., "Gs": ...}."""
    return dict(zip(("G", "D", "Gs"), load_pkl(path), strict=True))


def perturb(nets, rng):
    """Moves all weights of networks by rounding, to get to the other side of a kink."""
    for network in nets:
        for variable in network.variables_by_name.values():
            noise = rng.normal(size=variable.shape)
            variable.assign(variable * (1 + ROUNDING * noise).astype(np.float32))


def network_of(case_path):
    """The pickle that belongs to outputs or losses: net-a-outputs.npz -> net-a-nosrc.pkl."""
    name = case_path.stem.rpartition("-")[0]
    (path,) = find(f"networks/{name}-nosrc.pkl")
    return path


def lods_of(case, prefix):
    """Levels of detail of which a case holds `prefix`/lodL: [(0.25, "lod0.25")]."""
    names = {key.split("/")[1] for key in case if key.startswith(f"{prefix}/lod")}
    exact = case.get("lods", ())
    return [(_exact(float(name[3:]), exact), name) for name in sorted(names)]


def _exact(rounded, lods):
    """The level of detail whose name has been rounded to a few digits."""
    return min(map(float, lods), key=lambda lod: abs(lod - rounded), default=rounded)


def nhwc(images):
    """[N, C, H, W] -> [N, H, W, C]"""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def enlarged(images, size):
    """Repeats pixels: [N, R, R, C] -> [N, size, size, C], as the original shows all images."""
    factor = size // images.shape[1]
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def largest(ours, theirs):
    """Largest absolute difference of two arrays of equal shape; infinite unless all are finite."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        raise AssertionError(f"shapes differ: ours {ours.shape}, theirs {theirs.shape}")
    difference = np.abs(ours - theirs)
    return float(np.where(np.isfinite(difference), difference, np.inf).max(initial=0.0))


def largest_relative(ours, theirs):
    """Largest difference of values in units of max(1, |theirs|)."""
    scale = np.maximum(1, np.abs(np.asarray(theirs, np.float64)))
    return largest(np.asarray(ours) / scale, np.asarray(theirs) / scale)


def check(differences):
    """Fails with all differences that are beyond their tolerance; there must be some at all."""
    differences = list(differences)
    assert differences
    checked.extend(differences)
    beyond = [str(d) for d in differences if not d.value <= d.tolerance]
    assert not beyond, "\n".join(beyond)

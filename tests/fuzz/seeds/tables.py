"""NumPy files, and tables of labels, faces and latent vectors."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from tests.fuzz.seeds import HOSTILE, LATENT_SIZE
from tests.fuzz.seeds.pictures import pictures


def npy(array: Any, **options: Any) -> bytes:
    """A NumPy file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    """A file of several arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def labels() -> dict[str, list[bytes]]:
    """Label files for `pictures`, by their extensions."""
    names = sorted(pictures())
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    hostile = [path.read_bytes() for path in sorted(HOSTILE.glob("labels-*.npy"))]
    hostile += [(HOSTILE / name).read_bytes() for name in ("badzip.npy", "npz-as-npy.npy")]
    return {
        "npy": [npy([0, 2, 1]), npy(vectors), npy(vectors.T.copy().T), npy([[1.0]] * 3), *hostile],
        "csv": [
            "".join(["file,class\n", *(f"{name},{i}\n" for i, name in enumerate(names))]).encode(),
            "".join(["file,class\n", *(f'"{name}",cat\n' for name in names)]).encode(),
            "".join(
                ["file,a,b\n", *(f"{name},{i}.5,-1\n" for i, name in enumerate(names))]
            ).encode(),
        ],
        "json": [
            json.dumps({name: i for i, name in enumerate(names)}).encode(),
            json.dumps({"labels": [[name, [0.5, i]] for i, name in enumerate(names)]}).encode(),
            json.dumps({name: "cat" for name in names}).encode(),
        ],
    }


def landmarks() -> dict[str, list[bytes]]:
    """Tables of the faces in `pictures`, by their extensions."""
    rows = {name: [1 + i, 2, 5, 2, 3, 4, 2, 6, 5, 6] for i, name in enumerate(sorted(pictures()))}
    spaced = [f"{name}  {' '.join(map(str, row))}\n" for name, row in rows.items()]
    points = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    header = " ".join(f"{point}_{axis}" for point in points for axis in "xy")
    table = [f"{name},{','.join(map(str, row))}\n" for name, row in rows.items()]
    return {
        "csv": ["".join([f"file,{header.replace(' ', ',')}\n", *table]).encode()],
        "json": [
            json.dumps(rows).encode(),
            json.dumps(
                [[name, np.reshape(row, (5, 2)).tolist()] for name, row in rows.items()]
            ).encode(),
            (HOSTILE / "b8-landmarks.json").read_bytes(),
        ],
        "txt": [f"{len(rows)}\n{header}\n{''.join(spaced)}".encode()],
    }


def latents() -> dict[str, list[bytes]]:
    """Files of latent vectors, by their extensions."""
    rows = np.random.RandomState(5).randn(3, LATENT_SIZE).astype(np.float32)
    plain = io.BytesIO()
    np.savez(plain, latents=rows)
    return {
        "npy": [npy(rows), npy(rows[0].astype(np.float64)), npy(rows.astype(">f4"))],
        "npz": [npz(latents=rows), npz(x=rows.astype(np.float16)), plain.getvalue()],
    }

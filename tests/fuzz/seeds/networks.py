"""Networks, and the folders of runs."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pgtf import networks
from pgtf.networks import weight_shapes
from tests.fuzz.cases import Case
from tests.fuzz.seeds import DATA, FIRST, below, files, named
from tests.fuzz.seeds.pictures import encoded, pixels
from tests.interop.pickles import pickled

RUN = FIRST / "runs" / "labels" / "000-faces-demo"


def states() -> list[dict[str, Any]]:
    """States of G, D and Gs of the TensorFlow release, 8x8, with 4 feature maps."""
    options = {"num_channels": 3, "resolution": 8, "fmap_base": 16, "fmap_max": 4}
    rng = np.random.RandomState(3)
    found = []
    for kind, config in (("G", networks.GeneratorConfig), ("D", networks.DiscriminatorConfig)):
        shapes = weight_shapes(config(**options))
        variables = [(name, rng.randn(*shape).astype(np.float32)) for name, shape in shapes.items()]
        found.append(
            {
                "version": 2,
                "build_func_name": f"{kind}_paper",
                "static_kwargs": dict(options),
                "variables": [("lod", np.float32(0)), *variables],
                "build_module_src": "import os",
            }
        )
    return [*found, found[0]]


def network_pickles() -> list[Case]:
    """Pickles of both releases, in several protocols."""
    stored = [pickled("tfutil", *states(), protocol=protocol) for protocol in (2, 3, 4)]
    stored += [(DATA / "reference" / "theano" / "theano-unknown.pkl").read_bytes()]
    return named("network.pkl", *stored)


def theano_pickles() -> list[Case]:
    """Pickles of the Theano release, which are larger."""
    folder = DATA / "reference" / "theano"
    return [
        {"network.pkl": (folder / f"theano-{name}.pkl").read_bytes()}
        for name in ("wscale", "nowscale")
    ]


def snapshot() -> Case:
    """A snapshot of the first edition."""
    return {"network-snapshot-000000.h5": (FIRST / "network-snapshot-000000.h5").read_bytes()}


def checkpoint() -> Case:
    """A checkpoint of the first edition."""
    name = "checkpoint/checkpoint-000000080.h5"
    return files(name, folder=FIRST / "runs" / "noise" / "000-faces-demo")


def run_folder() -> Case:
    """The small files of a training run."""
    record = {
        "metric": "fid",
        "num_images": 50,
        "num_reals": 40,
        "reals": "faces",
        "seed": 1,
        "kimg": 0,
        "values": {"fid": 12.5},
        "snapshot": "network-snapshot-000000.h5",
        "order": "random",
        "evaluations": 1,
        "mode": "legacy",
        "time": "2026-11-22T19:15:24+00:00",
    }
    identity = {
        "preset": "demo",
        "path": "/x/faces",
        "fingerprint": {"a": "b"},
        "start": {"sha256": None, "nimg": 0, "file": None},
    }
    lines = [json.dumps(record | {"kimg": kimg}).encode() for kimg in (0, 1)]
    found = files("config.json", "stats.jsonl", folder=RUN)
    found["fakes000000.png"] = encoded("PNG", pixels(16, 32))
    found["metric-fid.jsonl"] = b"".join(line + b"\n" for line in lines)
    found["identity.json"] = json.dumps(identity).encode()
    return found


def restoration() -> Case:
    """The description of a restoration network."""
    about = {
        "format": "pgtf-restoration-1",
        "task": "jpeg",
        "scale": 1,
        "margin": 8,
        "stride": 4,
        "config": {},
        "held_out": {},
        "tensorflow": "2.21.0",
    }
    return {
        "model/saved_model.pb": b"",
        "model/assets.extra/restoration.json": json.dumps(about).encode(),
    }


def saved_model() -> Case:
    """The SavedModel of the first edition."""
    folder = FIRST / "model" / "faces" / "1"
    names = [
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
    ]
    return below("1", files(*names, folder=folder))


def frozen_graphs() -> list[Case]:
    """A small graph with the names of the Inception network of 2015."""
    return named("graph.pb", _made_apart(_frozen_graph))


def classifiers() -> list[Case]:
    """A classifier of two factors."""
    return named("classifier.npz", _made_apart(_classifier))


def _frozen_graph(path: Path) -> None:
    from tests.metrics.frozen_graph import FrozenGraph

    path.write_bytes(FrozenGraph().serialized())


def _classifier(path: Path) -> None:
    from pgtf.metrics import classifier

    factors = {"x": ["a", "b"], "y": ["c", "d"]}
    model = classifier.build_model(3, 4, seed=0)
    classifier.save_classifier(path, classifier._finished(model, factors, {"x": 1.0, "y": 0.5}))


def _made_apart(make: Callable[[Path], None]) -> bytes:
    """Makes a file in a process of its own: one that has used TensorFlow must not be forked."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        if not (child := os.fork()):
            with contextlib.suppress(BaseException):
                make(path)
                os._exit(0)
            os._exit(1)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            raise RuntimeError(f"{make.__name__} failed")
        return path.read_bytes()

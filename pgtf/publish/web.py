"""A static folder with a page that generates images in the browser, without a server of ours."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pgtf import images
from pgtf.export import edge, recipe
from pgtf.export.labels import one_hot
from pgtf.export.source import Source
from pgtf.installation import spelled
from pgtf.label_groups import are_classes
from pgtf.marks import Mark
from pgtf.networks import latents_from_seeds
from pgtf.publish import web_check, web_runtime

PAGE = Path(__file__).with_name("web_page")
MODEL, NETWORK = "model.json", "network.onnx"
PRECISIONS = ("fp32", "fp16")
NUM_CHECKED = 16  # seeds that a browser compares
# A page in half precision is right although 16 layers amplify the rounding of its 11 bits.
MAX_LEVELS = {"fp32": 1, "fp16": 16}
MIN_HALVED = 256  # values of a weight that is stored in half precision; others stay
MAX_NAMED_CLASSES = 1000


def export_web(
    source: Source,
    out: Path,
    runtime: str,
    *,
    precision: Literal["fp32", "fp16"] = "fp32",
    name: str | None = None,
    mark: recipe.Kind = "full",
    directions: Mapping[str, np.ndarray] | None = None,
    overwrite: bool = False,
) -> str:
    """Writes the folder, which appears when it is complete. Returns the browser's findings.

    Args:
        source: the network; exported at its own lod.
        out: folder to write.
        runtime: folder of the npm package onnxruntime-web, or "cdn".
        precision: type in which weights are stored; sums are float32 either way.
        name: title of the page; None = the name of the folder.
        mark: metadata of downloads.
        directions: unit vectors [latent_size] by name, each a slider.
        overwrite: replace an older page in the folder.

    Raises:
        FileExistsError: `out` is there.
        ValueError: the network is no picture, a package is missing, or the page's images differ.
        OSError: the folder cannot be written.
    """
    if source.Gs.config.num_channels not in (1, 3):
        raise ValueError(
            "a page shows images of 1 or 3 channels. "
            f"Received: {source.Gs.config.num_channels} channels."
        )
    if source.label_size and not are_classes(source.groups):
        raise ValueError(
            f"{source.path}: a page has a menu of classes, and the labels of this network are "
            f"findings or numbers. {spelled('`generate.py explore`')} shows it."
        )
    expected = _expected(source)
    with _new_folder(out, overwrite) as folder:
        is_cdn = runtime == "cdn"
        files = web_runtime.on_cdn() if is_cdn else web_runtime.copied(Path(runtime), folder)
        edge.export_edge(source.Gs, folder / NETWORK, "onnx")
        if precision == "fp16":
            _halve(folder / NETWORK)
        facts = _facts(source, name or out.resolve().name, precision, expected.shape[1:])
        facts |= {"runtime": files, "mark": _marks(source, mark)}
        facts["directions"] = [
            {"name": key, "vector": np.round(vector, 7).tolist()}
            for key, vector in (directions or {}).items()
        ]
        content = (folder / NETWORK).read_bytes()
        facts["network"] = {"url": NETWORK, "integrity": web_runtime.integrity(content)}
        (folder / MODEL).write_text(json.dumps(facts) + "\n", encoding="utf-8")
        _write_page(folder, web_runtime.CDN if is_cdn else "")
        found = web_check.in_browser(folder, NUM_CHECKED)
        if isinstance(found, str):
            return f"not checked in a browser: {found}"
        return _compared(found, expected, precision)


def _expected(source: Source) -> np.ndarray:
    """Generates the images of the first seeds: uint8 NHWC."""
    seeds = np.arange(NUM_CHECKED)
    latents = latents_from_seeds(seeds, source.Gs.latent_size).numpy()
    labels = one_hot(seeds, source.label_size) if source.label_size else None
    return images.to_uint8(source.Gs.run(latents, labels))


def _facts(source: Source, name: str, precision: str, shape: Any) -> dict[str, Any]:
    """Collects the facts about the network that the page shows or computes with."""
    height, width, channels = shape
    kind = {1: "gray", 3: "color"}[channels]
    age = "" if source.kimg is None else f", trained with {source.kimg} thousand images"
    names = source.label_names or tuple(map(str, range(source.label_size)))
    return {
        "name": name,
        "about": f"{width}x{height} {kind} images of a progressive growing GAN{age}. Seeds are "
        f"those of every command; the network is {source.sha256[:12]}, in {precision}.",
        "width": width,
        "height": height,
        "channels": channels,
        "latent_size": source.Gs.latent_size,
        "label_size": source.label_size,
        "label_names": list(names[:MAX_NAMED_CLASSES]),
        "precision": precision,
    }


def _marks(source: Source, kind: recipe.Kind) -> dict[str, str]:
    """Builds the metadata of downloads: of a seed, with places to fill, and of anything else."""
    facts = {"Seeds": "@SEED@", "Lod": repr(float(source.Gs.lod)), "Zoom": "1"}
    facts |= {"Classes": "@CLASS@"} if source.label_size else {}
    marker = recipe.Marker(kind, source.sha256)
    return {"exact": _text(marker(facts)), "constant": _text(marker({}))}


def _text(mark: Mark | None) -> str:
    return "" if mark is None else mark.packet.decode()


def _write_page(folder: Path, cdn: str) -> None:
    """Copies the page; its policy allows scripts of the folder, and of the CDN if one is used."""
    policy = (
        f"default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval' {cdn}; style-src 'self'; "
        f"img-src 'self' data: blob:; connect-src 'self' blob: {cdn}; worker-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'"
    ).replace(" ;", ";")
    for path in sorted(PAGE.iterdir()):
        text = path.read_text(encoding="utf-8").replace("@CSP@", policy)
        (folder / path.name).write_text(text, encoding="utf-8")


def _halve(path: Path) -> None:
    """Stores large weights of an ONNX file in half precision, cast to float32 where they are used.

    All sums, pixel norm and the conversion to uint8 remain float32, on every device.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(path))
    graph = model.graph
    kept, casts = [], []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < MIN_HALVED:
            kept.append(weight)
            continue
        stored = f"{weight.name}_half"
        kept.append(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [weight.name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    path.write_bytes(model.SerializeToString())


def _compared(found: web_check.Found, expected: np.ndarray, precision: str) -> str:
    """Compares the browser's images. Raises ValueError if they differ by too much."""
    off = int(np.abs(found.images.reshape(expected.shape).astype(int) - expected).max())
    if off > MAX_LEVELS[precision]:
        raise ValueError(
            f"the page was not written: its images are up to {off} gray levels off in {precision}."
        )
    return (
        f"{NUM_CHECKED} seeds in {found.browser}, {found.kind}: at most {off} of 255 gray levels "
        f"off, {found.ms:.0f} ms per image"
    )


@contextlib.contextmanager
def _new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """Makes a folder beside `out`, and renames it at the end; removes it after an error."""
    if out.exists() and any(out.iterdir()):
        if not overwrite:
            raise FileExistsError(f"{out} exists. Choose another --out, or --overwrite.")
        if not (out / MODEL).is_file():
            raise FileExistsError(f"{out} holds no page of this command. Choose another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        os.replace(folder, out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise

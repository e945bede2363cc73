"""The 2015 Inception network, which defines the features and classes of FID and Inception score.

Its weights come as a frozen TensorFlow 1 graph, classify_image_graph_def.pb, which is read from a
file and never fetched unasked. Other conversions of the network give other values.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from pgtf.foreign.archives import read_member
from pgtf.foreign.files import read_bytes
from pgtf.foreign.packed import Gzip, Unpacked
from pgtf.graphs import check_frozen_graph, within_limits
from pgtf.installation import spelled

GRAPH_NAME = "classify_image_graph_def.pb"
URL = "http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
MODES = ("legacy", "clean")
INPUT, FEATURES, LAST_MATMUL = "ExpandDims:0", "pool_3:0", "softmax/logits/MatMul"
SIDE = 299  # pixels per side of the network's input
MAX_BYTES = 1 << 28  # of a graph file, and of its archive; those of 2015 have 91 and 85 MiB
_BLOCK_BYTES = 1 << 20
_TIMEOUT = 60  # seconds without an answer after which a download fails
_MINIBATCH = 50  # images of 299x299 in work at a time


class Inception:
    """The frozen graph in a TensorFlow 1 graph and session of its own.

    `tf.function` and `wrap_function` refuse graphs of such an old producer version.

    Args:
        path: classify_image_graph_def.pb.
        sha256: expected hash of the file in hex, or None.
        mode: "legacy" resizes to 299 inside the graph, bilinear without antialiasing, as the
            original release; "clean" resizes outside, with Pillow's antialiased bicubic filter in
            float32. Parmar et al. 2022.

    Raises:
        OSError: the file cannot be read.
        ValueError: another hash, or the file is not this network.
    """

    def __init__(
        self, path: str | os.PathLike[str], sha256: str | None = None, mode: str = "legacy"
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"`mode` must be one of {', '.join(MODES)}. Received: mode={mode}.")
        content = read_bytes(path, MAX_BYTES)
        self.path, self.mode = os.fspath(path), mode
        self.sha256 = hashlib.sha256(content).hexdigest()
        _check_sha256(path, self.sha256, sha256)
        self._has_warned = False
        self._session, self._images, self._outputs = _load(path, content)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [n, H, W, 1 or 3] -> pool3 features [n, 2048], class probabilities [n, 1008].

        Gray images are repeated in all three channels. The last layer has no bias, as in the
        original Inception score.
        """
        channels = images.shape[3]
        if channels not in (1, 3):
            raise ValueError(f"Inception needs RGB or gray images. Received: {channels} channels.")
        if channels == 1:
            if not self._has_warned:
                logging.warning("Inception is shown gray images in all three channels.")
            self._has_warned = True
            images = np.repeat(images, 3, axis=3)
        parts = []
        for start in range(0, len(images), _MINIBATCH):
            part = images[start : start + _MINIBATCH]
            shown = resize_clean(part) if self.mode == "clean" else part.astype(np.float32)
            parts.append(self._run(shown))
        features, probabilities = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if not (np.isfinite(features).all() and np.isfinite(probabilities).all()):
            raise ValueError(f"{self.path}: must give finite features. Received: NaN or infinity.")
        return features, probabilities

    def _run(self, shown: np.ndarray) -> list[np.ndarray]:
        """Computes features and probabilities of some images; ValueError if the graph fails."""
        import tensorflow as tf

        try:
            return within_limits(lambda: self._session.run(self._outputs, {self._images: shown}))
        except (tf.errors.OpError, ValueError, TimeoutError) as error:
            raise ValueError(_not_the_graph(self.path, error)) from None


def resize_clean(images: np.ndarray) -> np.ndarray:
    """Resizes each channel as clean-fid does: uint8 [n, H, W, C] -> float32 [n, 299, 299, C]."""
    import PIL.Image

    out = np.empty((len(images), SIDE, SIDE, images.shape[3]), np.float32)
    for image, target in zip(images, out, strict=True):
        for channel in range(images.shape[3]):
            plane = PIL.Image.fromarray(image[:, :, channel].astype(np.float32))
            resized = plane.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC)
            target[:, :, channel] = np.asarray(resized)
    return out.clip(0, 255)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def default_path() -> Path:
    """Path where `download` puts the graph: in $XDG_CACHE_HOME/pgtf, normally ~/.cache/pgtf."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pgtf" / GRAPH_NAME


def download(
    path: str | os.PathLike[str] | None = None,
    url: str = URL,
    sha256: str | None = None,
    progress: bool = False,
) -> Path:
    """Fetches the archive of the graph (about 90 MB) and unpacks the graph alone. Returns its path.

    Args:
        path: file to write; None = `default_path()`.
        url: address of the archive.
        sha256: expected hash of the graph in hex, or None.
        progress: show a progress bar.

    Raises:
        OSError: the server or the disk fails; nothing is left behind.
        ValueError: the archive does not hold the graph, or holds another one.
    """
    import urllib.request

    path = Path(path or default_path())
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        archive, graph = Path(folder) / "archive", Path(folder) / GRAPH_NAME
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT) as response,
            _watched(response, progress) as stream,
            open(archive, "wb") as file,
        ):
            while block := stream.read(_BLOCK_BYTES):
                file.write(block)
                if file.tell() > MAX_BYTES:
                    what = f"must have at most {MAX_BYTES >> 20} MiB"
                    raise ValueError(f"{url}: {what}. Received: more.")
        try:
            _check_packed(archive)
            content = read_member(str(archive), GRAPH_NAME, MAX_BYTES)
        except (FileNotFoundError, ValueError) as error:
            what = str(error).removeprefix(f"{archive}: ")
            raise ValueError(f"{url}: must be an archive of {GRAPH_NAME} ({what}).") from None
        with open(graph, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _check_sha256(url, file_sha256(graph), sha256)
        os.replace(graph, path)
    return path


def _check_packed(path: Path) -> None:
    """Unpacks a file to its end, where gzip has the checksum; ValueError if it is damaged."""
    total = 0
    with open(path, "rb") as file:
        content = io.BufferedReader(Unpacked(file, Gzip), _BLOCK_BYTES)
        while block := content.read(_BLOCK_BYTES):
            total += len(block)
            if total > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES >> 20} MiB after decompression")


def _watched(response: Any, progress: bool) -> Any:
    """Wraps a response so that reading it moves a progress bar."""
    from tqdm import tqdm

    size = int(response.headers.get("Content-Length", 0)) or None
    return tqdm.wrapattr(response, "read", size, desc=GRAPH_NAME, disable=not progress)


def _check_sha256(where: str | os.PathLike[str], found: str, expected: str | None) -> None:
    if expected is not None and found != expected.lower():
        raise ValueError(
            f"{where}: not the Inception file expected. Received: SHA-256 {found}, "
            f"not {expected.lower()}."
        )


def _parse(path: str | os.PathLike[str], content: bytes) -> Any:
    import tensorflow as tf
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(content)
    except DecodeError as error:
        raise ValueError(_not_the_graph(path, error)) from None
    return graph_def


def _not_the_graph(path: str | os.PathLike[str], error: Exception) -> str:
    # The first sentence of TensorFlow's message is enough; the rest is a traceback of nodes.
    reason = " ".join(str(error).split())[:120]
    return (
        f"{path}: not the frozen graph of 2015, {GRAPH_NAME} ({reason}). "
        f"{spelled('Fetch it with python -m metrics --download_inception.')}"
    )


def _load(path: str | os.PathLike[str], content: bytes) -> tuple[Any, Any, list[Any]]:
    """Imports the graph for any batch size: -> session, placeholder, [features, classes]."""
    import tensorflow as tf

    graph_def = _parse(path, content)
    check_frozen_graph(path, graph_def)
    try:
        with tf.Graph().as_default() as graph:
            images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
            tf.compat.v1.import_graph_def(graph_def, {INPUT: images}, name="")
            features = graph.get_tensor_by_name(FEATURES)  # [n, 1, 1, 2048]
            features = tf.reshape(features, [-1, features.shape[-1]])
            weights = graph.get_operation_by_name(LAST_MATMUL).inputs[1]
            probabilities = tf.nn.softmax(tf.matmul(features, weights))
    except (tf.errors.OpError, ValueError, KeyError, TypeError) as error:
        raise ValueError(_not_the_graph(path, error)) from None
    options = tf.compat.v1.ConfigProto(gpu_options={"allow_growth": True})
    return tf.compat.v1.Session(graph=graph, config=options), images, [features, probabilities]

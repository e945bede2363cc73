"""Films, written frame by frame: MP4 through the ffmpeg of imageio-ffmpeg, GIF and WebP."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pgtf.export import animation
from pgtf.marks import Mark, append_to_mp4

SUFFIXES = (".mp4", ".gif", ".webp")
MP4_CRF = 10  # x264's constant rate factor: 0 = without loss, 51 = worst

ENCODER_ERRORS = (OSError, RuntimeError)  # Pillow raises the latter if a WebP is too large.


def film_path(out: str | os.PathLike[str] | None, default: str | os.PathLike[str]) -> Path:
    """Returns the file to write: `out`, or `default` as MP4, without imageio-ffmpeg as WebP.

    Raises:
        ValueError: if `out` has another suffix, or is MP4 and imageio-ffmpeg is missing.
    """
    has_ffmpeg = _ffmpeg() is not None
    path = Path(out or f"{default}{'.mp4' if has_ffmpeg else '.webp'}")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"`--out` must end in {', '.join(SUFFIXES)}. Received: {path}.")
    if path.suffix.lower() == ".mp4" and not has_ffmpeg:
        raise ValueError(
            "MP4 needs the package imageio-ffmpeg: pip install imageio-ffmpeg, or --out=FILE.webp."
        )
    return path


def write_film(
    path: str | os.PathLike[str],
    frames: Iterable[np.ndarray],
    fps: float,
    mark: Mark | None = None,
) -> int:
    """Writes a film that appears whole or not at all; the suffix decides the format.

    At most three frames are in memory. The film lasts as long as all frames together. GIF and WebP
    leave out frames that browsers would slow down: above 50 and 90 per second. There, an array that
    is yielded again at once is one frame that lasts longer.

    Args:
        path: file that ends in .mp4, .gif or .webp.
        frames: uint8 [H, W, 3] or [H, W, 1], all of one size.
        fps: frames per second.
        mark: what the file says about its pixels; None = nothing.

    Returns:
        The number of frames in the file.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if there is no frame, or they differ in size.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # The suffix decides the format.
    writer = _write_mp4 if path.suffix.lower() == ".mp4" else _write_animation
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        num_frames = writer(temporary, _of_one_size(frames), fps, mark)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        return num_frames
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, ENCODER_ERRORS):
            raise OSError(f"{path}: cannot be written: {error}") from error
        raise


def _of_one_size(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    shape = None
    for frame in frames:
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(
                f"all frames of a film must have one size. Received: {shape}, {frame.shape}."
            )
        yield frame
    if shape is None:
        raise ValueError("a film needs at least one frame.")


def zoomed(image: np.ndarray, zoom: int) -> np.ndarray:
    """Repeats pixels: [..., H, W, C] -> [..., H * zoom, W * zoom, C]."""
    return image.repeat(zoom, axis=-3).repeat(zoom, axis=-2)


def to_rgb(frame: np.ndarray) -> np.ndarray:
    """Gives gray images three channels: [H, W, 1 or 3] -> [H, W, 3]."""
    return np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))


def _ffmpeg() -> Any:
    """Imports imageio_ffmpeg; None if it is missing."""
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    return imageio_ffmpeg


def _write_mp4(path: Path, frames: Iterator[np.ndarray], fps: float, mark: Mark | None) -> int:
    num_frames, first = 0, next(frames)
    height, width = first.shape[:2]
    # Every player shows yuv420p. It needs even sides, which the smallest images may lack.
    margin = (0, height % 2), (0, width % 2), (0, 0)
    size = f"{width + width % 2}x{height + height % 2}"
    source = f"-f rawvideo -pix_fmt rgb24 -video_size {size} -framerate {fps} -i -"
    codec = f"-c:v libx264 -crf {MP4_CRF} -pix_fmt yuv420p"
    command = [_ffmpeg().get_ffmpeg_exe(), "-loglevel", "error", *source.split(), *codec.split()]
    for name, text in _mp4_texts(mark).items():
        command += ["-metadata", f"{name}={text}"]
    with (
        tempfile.TemporaryFile() as messages,
        subprocess.Popen(
            [*command, f"file:{path}"], stdin=subprocess.PIPE, stderr=messages
        ) as ffmpeg,
    ):
        try:
            with contextlib.suppress(BrokenPipeError):  # Its messages say why.
                pipe: Any = ffmpeg.stdin
                for frame in itertools.chain([first], frames):
                    pipe.write(np.pad(to_rgb(frame), margin, "edge"))
                    num_frames += 1
        except BaseException:
            ffmpeg.kill()
            raise
        finally:
            ffmpeg.communicate()  # Closes its input and waits for its end.
        if ffmpeg.returncode:
            messages.seek(0)
            reason = messages.readline().decode(errors="replace").strip()
            raise OSError(f"ffmpeg: {reason or f'exit code {ffmpeg.returncode}'}")
    if mark is not None:
        with open(path, "ab") as file:
            append_to_mp4(file, mark.packet)
    return num_frames


def _mp4_texts(mark: Mark | None) -> dict[str, str]:
    """Makes the texts of a film that players show, and that stay when it is repacked."""
    return {} if mark is None else {"comment": mark.sentence, "description": mark.line}


def _write_animation(
    path: Path, frames: Iterator[np.ndarray], fps: float, mark: Mark | None
) -> int:
    file_format = animation.FORMATS[path.suffix.lower()]
    timed = file_format.timed(frames, fps)
    with open(path, "xb") as file:
        return file_format.write(file, timed, b"" if mark is None else mark.packet)

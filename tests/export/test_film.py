"""Films are read back frame by frame."""

import os
import resource
import signal
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import PIL.Image
import PIL.ImageSequence
import pytest

from pgtf.export import film


def ramp(num, size=32, channels=3):
    """Makes frames of one gray value each: 0, 20, 40, ..."""
    return [np.full([size, size, channels], 20 * i, np.uint8) for i in range(num)]


def ffmpeg(*arguments):
    """Runs the packaged ffmpeg. Returns its standard output and its messages."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stdout, done.stderr.decode()


def means(path):
    """Reads the mean gray value of every frame of a film."""
    if path.suffix == ".mp4":
        raw, _ = ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
        return np.frombuffer(raw, np.uint8).reshape(-1, 32 * 32 * 3).mean(axis=1).tolist()
    with PIL.Image.open(path) as file:
        found = []
        for i in range(file.n_frames):
            file.seek(i)
            found.append(float(np.asarray(file.convert("RGB")).mean()))
        return found


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_is_in_the_film_in_order(tmp_path, suffix, channels):
    path = tmp_path / f"film{suffix}"
    film.write_film(path, iter(ramp(8, channels=channels)), fps=10)
    assert means(path) == pytest.approx([0, 20, 40, 60, 80, 100, 120, 140], abs=4)
    assert os.listdir(tmp_path) == [path.name]


def test_the_film_has_the_size_and_speed_asked_for(tmp_path):
    path = tmp_path / "film.mp4"
    film.write_film(path, iter([film.zoomed(frame, 3) for frame in ramp(10, size=4)]), fps=5)
    raw, said = ffmpeg("-i", path, "-f", "rawvideo", "-")
    assert "12x12" in said
    assert "yuv420p" in said
    assert "5 fps" in said
    assert "Duration: 00:00:02.00" in said
    assert len(raw) == 10 * 12 * 12 * 3 // 2


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize(("fps", "milliseconds"), [(2, 500), (5, 200), (10, 100), (25, 40)])
def test_every_frame_is_shown_as_long_as_asked_for(tmp_path, suffix, fps, milliseconds):
    path = tmp_path / f"film{suffix}"
    film.write_film(path, iter(ramp(4)), fps)
    with PIL.Image.open(path) as file:
        assert file.n_frames == 4
        assert file.info["loop"] == 0  # for ever
        for frame in PIL.ImageSequence.Iterator(file):
            frame.load()
            assert frame.info["duration"] == milliseconds


def test_zoom_repeats_pixels():
    image = np.arange(12).reshape(2, 2, 3)
    assert np.array_equal(film.zoomed(image, 2)[::2, 1::2], image)
    batch = np.arange(24).reshape(2, 2, 2, 3)
    assert film.zoomed(batch, 3).shape == (2, 6, 6, 3)
    assert np.array_equal(film.zoomed(batch, 3)[:, 2::3, ::3], batch)


def test_an_error_in_the_middle_leaves_nothing(tmp_path):
    def broken():
        yield from ramp(3)
        raise KeyboardInterrupt

    for suffix in film.SUFFIXES:
        with pytest.raises(KeyboardInterrupt):
            film.write_film(tmp_path / f"film{suffix}", broken(), fps=10)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", film.SUFFIXES)
def test_a_disk_that_fills_up_leaves_nothing_and_is_one_line(tmp_path, suffix, rng):
    frames = (rng.integers(256, size=[64, 64, 3], dtype=np.uint8) for _ in range(30))
    _, limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit))
    try:
        with pytest.raises(OSError, match=f"film{suffix}: cannot be written"):
            film.write_film(tmp_path / f"film{suffix}", frames, fps=10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("suffix", "width"), [(".mp4", 32768), (".webp", 32768), (".mp4", 5)])
def test_a_size_that_the_format_does_not_have_is_one_line(tmp_path, suffix, width):
    frames = iter([np.zeros([4, width, 3], np.uint8)] * 2)
    with pytest.raises(OSError, match=f"film{suffix}: cannot be written"):
        film.write_film(tmp_path / f"film{suffix}", frames, fps=10)
    assert os.listdir(tmp_path) == []


def test_without_imageio_ffmpeg_the_default_is_webp_and_mp4_is_refused(tmp_path, monkeypatch):
    assert film.film_path(None, tmp_path / "a.b").name == "a.b.mp4"
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # importing it raises
    assert film.film_path(None, tmp_path / "a").name == "a.webp"
    assert film.film_path(tmp_path / "a.gif", None).name == "a.gif"
    with pytest.raises(ValueError, match="pip install imageio-ffmpeg"):
        film.film_path(tmp_path / "a.mp4", None)
    with pytest.raises(ValueError, match="a.avi"):
        film.film_path(tmp_path / "a.avi", None)

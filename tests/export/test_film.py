"""Films are read back frame by frame."""

import os
import resource
import signal
import subprocess
import sys
import weakref

import imageio_ffmpeg
import numpy as np
import PIL.Image
import PIL.ImageSequence
import pytest

from pgtf.export import animation, film


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


def times(path):
    """Reads the times of the frames of a GIF or WebP, milliseconds."""
    with PIL.Image.open(path) as file:
        found = []
        for frame in PIL.ImageSequence.Iterator(file):
            frame.load()
            found.append(frame.info["duration"])
        return found


@pytest.mark.parametrize(
    ("suffix", "fps", "expected"),
    [
        (".gif", 30, [30, 40, 30] * 4),
        (".gif", 40, [20, 30, 30, 20] * 3),
        (".gif", 60, [20] * 10),  # of 12 frames
        (".gif", 120, [20] * 5),
        (".gif", 75, [20] * 8),
        (".webp", 30, [33, 34, 33] * 4),
        (".webp", 60, [17, 16, 17] * 4),
        (".webp", 120, [11] * 8 + [12]),
    ],
)
def test_times_add_up_and_none_is_so_short_that_browsers_stretch_it(
    tmp_path, suffix, fps, expected
):
    path = tmp_path / f"film{suffix}"
    assert film.write_film(path, iter(ramp(12)), fps) == len(expected)
    assert times(path) == expected
    assert sum(expected) == pytest.approx(12_000 / fps, abs=1)


@pytest.mark.parametrize("fps", [0.5, 7, 23.976, 24, 29.97, 33, 48, 59.94, 90, 144, 1000])
@pytest.mark.parametrize("num", [1, 2, 3, 100])
def test_every_frame_is_shown_at_its_time_whatever_the_rate(fps, num):
    for file_format in animation.FORMATS.values():
        unit, shortest = float(file_format.unit), file_format.shortest
        shown = list(file_format.timed(iter(range(num)), fps))
        frames, lengths = zip(*shown, strict=True)
        assert min(lengths) >= shortest
        assert sum(lengths) == max(round(num / fps / unit), shortest)
        begins = np.cumsum((0, *lengths[:-1])) * unit * fps  # in frames
        late = begins - frames
        assert np.all((-0.51 * fps * unit <= late) & (late < 1 + 0.51 * fps * unit))
        assert list(frames) == sorted(set(frames))
        most = min(num, num / fps / unit / shortest)  # no more could be shown
        assert most - 2 < len(frames) <= max(most, 1)


def test_the_same_array_again_is_one_frame_that_lasts_longer(tmp_path):
    first, second = ramp(2)
    for suffix, unit in [(".gif", 10), (".webp", 1)]:
        path = tmp_path / f"film{suffix}"
        assert film.write_film(path, iter([first, second, second, second]), fps=4) == 2
        assert times(path) == [250 // unit * unit, 750]
    path = tmp_path / "film.mp4"
    assert film.write_film(path, iter([first, second, second, second]), fps=4) == 4
    assert imageio_ffmpeg.count_frames_and_secs(path) == (4, 1.0)


@pytest.mark.parametrize("fps", [5, 23.976, 60])
def test_ffmpeg_finds_every_frame_at_the_rate_asked_for(tmp_path, fps):
    path = tmp_path / "film.mp4"
    assert film.write_film(path, iter(ramp(12)), fps) == 12
    num_frames, seconds = imageio_ffmpeg.count_frames_and_secs(path)
    assert num_frames == 12
    assert seconds == pytest.approx(12 / fps, abs=0.01)
    for suffix in animation.FORMATS:
        path = tmp_path / f"film{suffix}"
        film.write_film(path, iter(ramp(12)), 25)
    # Another reader than Pillow: ffmpeg's.
    raw, _ = ffmpeg("-i", tmp_path / "film.gif", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    gray = np.frombuffer(raw, np.uint8).reshape(-1, 32 * 32 * 3).mean(axis=1)
    assert gray == pytest.approx(np.arange(12) * 20, abs=1)


@pytest.mark.parametrize("suffix", film.SUFFIXES)
def test_only_a_few_frames_are_in_memory_however_long_the_film(tmp_path, suffix, rng):
    alive, most = set(), 0

    def noise():
        nonlocal most
        for i in range(60):
            frame = rng.integers(256, size=[16, 16, 3], dtype=np.uint8)
            alive.add(i)
            weakref.finalize(frame, alive.discard, i)
            most = max(most, len(alive))
            yield frame
            del frame

    assert film.write_film(tmp_path / f"film{suffix}", noise(), fps=10) == 60
    assert 1 <= most <= 4
    assert not alive


@pytest.mark.parametrize("suffix", film.SUFFIXES)
def test_frames_are_written_while_others_are_generated(tmp_path, suffix, rng):
    sizes = []

    def noise():
        for _ in range(40):
            yield rng.integers(256, size=[64, 64, 3], dtype=np.uint8)
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))

    film.write_film(tmp_path / f"film{suffix}", noise(), fps=10)
    # ffmpeg looks ahead; the others write each frame at once.
    assert suffix == ".mp4" or sizes[20] > 5 * max(sizes[2], 5_000)
    assert os.listdir(tmp_path) == [f"film{suffix}"]


@pytest.mark.parametrize("suffix", film.SUFFIXES)
def test_frames_of_two_sizes_no_frame_and_a_rate_too_low_are_refused(tmp_path, suffix):
    path = tmp_path / f"film{suffix}"
    with pytest.raises(ValueError, match=r"one size. Received: \(32, 32, 3\), \(16, 16, 3\)"):
        film.write_film(path, iter([*ramp(2), *ramp(1, size=16)]), fps=10)
    with pytest.raises(ValueError, match="at least one frame"):
        film.write_film(path, iter([]), fps=10)
    if suffix != ".mp4":
        with pytest.raises(ValueError, match="`--fps` must be at least .*: 1e-05"):
            film.write_film(path, iter(ramp(2)), fps=1e-5)
    assert os.listdir(tmp_path) == []


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


@pytest.mark.parametrize(("suffix", "width"), [(".mp4", 32768), (".webp", 32768)])
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

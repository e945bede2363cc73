"""Sound as images of two channels: WAV files -> spectrograms in .npy files, and back.

python examples/spectrograms.py make ~/sounds datasets/spectrograms-npy
python dataset_tool.py create_from_arrays datasets/spectrograms datasets/spectrograms-npy \\
    --grid=2x8 --range=-1,1
python train.py --dataset=datasets/spectrograms --preset=demo ...
python generate.py images --seeds=0-9 --out=fakes --format=npy
python examples/spectrograms.py sound fakes fakes-wav

Channel 0 is the logarithm of the magnitude, channel 1 the change of the phase from frame to frame,
less what a pure tone of the bin's frequency makes (the instantaneous frequency), both in [-1, 1].
Without sounds of your own, `python examples/spectrograms.py tones FOLDER` writes some.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import wave

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # finds pgtf in this checkout

from pgtf.commands.command_line import missing_packages_reported, one_line_errors
from pgtf.commands.parsers import Parser

with missing_packages_reported():
    import numpy as np

BINS, FRAMES = 32, 128  # rows and columns of an image: a grid of 2x8 times 2^4
WINDOW = 2 * BINS  # samples of a frame; the highest frequency, a half of the rate, has no row
HOP = WINDOW // 4  # samples from frame to frame
LENGTH = HOP * (FRAMES - 1) + WINDOW  # samples of an image
RATE = 8000  # samples per second
FLOOR = 1e-4  # A magnitude of this part of the largest possible one, and less, is silence: -1.
TONES = 64
ADVANCE = 2 * np.pi * HOP / WINDOW * np.arange(BINS)  # of the phase of a bin's own frequency
HANN = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW) ** 2


def spectrogram(sound: np.ndarray) -> np.ndarray:
    """Sound in [-1, 1], [LENGTH] -> float32 [BINS, FRAMES, 2] in [-1, 1]."""
    starts = HOP * np.arange(FRAMES)[:, np.newaxis] + np.arange(WINDOW)
    values = np.fft.rfft(sound[starts] * HANN)[:, :BINS]  # [FRAMES, BINS]
    magnitude = np.abs(values) / (HANN.sum() / 2)  # 1 for a tone of amplitude 1
    loudness = 1 - 2 * np.log(np.maximum(magnitude, FLOOR)) / np.log(FLOOR)
    phase = np.diff(np.angle(values), axis=0, prepend=0)
    change = np.angle(np.exp(1j * (phase - ADVANCE))) / np.pi
    return np.stack([loudness.clip(-1, 1), change], axis=-1).swapaxes(0, 1).astype(np.float32)


def sound_of(image: np.ndarray) -> np.ndarray:
    """Inverts `spectrogram`, by adding overlapping frames: [BINS, FRAMES, 2] -> [LENGTH]."""
    loudness, change = image.astype(np.float64).transpose(2, 1, 0)
    magnitude = np.exp((1 - loudness) / 2 * np.log(FLOOR)) * (HANN.sum() / 2)
    magnitude[loudness <= -1] = 0
    values = magnitude * np.exp(1j * np.cumsum(change * np.pi + ADVANCE, axis=0))
    frames = np.fft.irfft(np.pad(values, [(0, 0), (0, 1)]), WINDOW) * HANN
    sound, weight = np.zeros(LENGTH), np.zeros(LENGTH)
    for number, frame in enumerate(frames):
        place = slice(HOP * number, HOP * number + WINDOW)
        sound[place] += frame
        weight[place] += HANN**2
    return (sound / np.maximum(weight, 1e-3)).clip(-1, 1)


def read_wav(path: pathlib.Path) -> np.ndarray:
    """Reads the first channel of a WAV file of 16 bits: -> [n] in [-1, 1].

    Raises:
        ValueError: the file is of another kind, or damaged.
    """
    try:
        with wave.open(str(path)) as file:
            kind = (file.getsampwidth(), file.getframerate())
            if kind != (2, RATE):
                raise ValueError(
                    f"{path}: must have 16 bits and {RATE} samples per second. Received: "
                    f"{8 * kind[0]} bits and {kind[1]}. Convert it with a tool such as ffmpeg."
                )
            content, channels = file.readframes(file.getnframes()), file.getnchannels()
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path}: not a WAV file, or damaged ({error}).") from None
    return np.frombuffer(content, "<i2").reshape(-1, channels)[:, 0] / 32768


def write_wav(path: pathlib.Path, sound: np.ndarray) -> None:
    """Writes a WAV file of 16 bits: [n] in [-1, 1]."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes(np.rint(sound * 32767).astype("<i2").tobytes())


def make(source: pathlib.Path, target: pathlib.Path) -> None:
    """Cuts each WAV file into pieces of LENGTH samples, and writes them as .npy files."""
    paths = sorted(source.glob("*.wav"))
    if not paths:
        raise ValueError(f"{source}: no .wav files in it.")
    target.mkdir(parents=True)
    count = 0
    for path in paths:
        sound = read_wav(path)
        for number in range(len(sound) // LENGTH):
            image = spectrogram(sound[LENGTH * number : LENGTH * (number + 1)])
            np.save(target / f"{path.stem}-{number:04d}.npy", image)
            count += 1
    print(f"Wrote {count} spectrograms of {BINS}x{FRAMES} to {target}")


def sound(source: pathlib.Path, target: pathlib.Path) -> None:
    """Turns spectrograms in .npy files into WAV files."""
    paths = sorted(source.glob("*.npy"))
    if not paths:
        raise ValueError(f"{source}: no .npy files in it.")
    images = [np.load(path, allow_pickle=False) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != (BINS, FRAMES, 2):
            raise ValueError(
                f"{path}: must be [{BINS}, {FRAMES}, 2]. Received: {list(image.shape)}."
            )
    target.mkdir(parents=True)
    for path, image in zip(paths, images, strict=True):
        write_wav(target / f"{path.stem}.wav", sound_of(image))
    print(f"Wrote {len(paths)} sounds to {target}")


def tones(target: pathlib.Path, num: int | None = None) -> None:
    """Writes tones that rise or fall, with an overtone, and fade away; None = TONES of them."""
    num = num or TONES
    target.mkdir(parents=True)
    rng = np.random.RandomState(0)
    time = np.arange(LENGTH) / RATE
    for number in range(num):
        pitch, rise, decay = rng.uniform(200, 1200), rng.uniform(-2000, 2000), rng.uniform(2, 12)
        phase = 2 * np.pi * (pitch * time + rise * time**2 / 2)
        wave_ = (np.sin(phase) + 0.5 * np.sin(2 * phase)) * np.exp(-decay * time)
        write_wav(target / f"tone-{number:03d}.wav", wave_ / 2)
    print(f"Wrote {num} tones to {target}")


def main() -> None:
    """Runs a sub-command."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, help, run in (
        ("make", "WAV files -> spectrograms", make),
        ("sound", "spectrograms -> WAV files", sound),
        ("tones", "write sounds to try it with", tones),
    ):
        command = commands.add_parser(name, help=help)
        if run is not tones:
            command.add_argument("source", type=pathlib.Path, help="folder of files")
        else:
            command.add_argument("--num", type=int, help=f"number of tones (default: {TONES})")
        command.add_argument("target", type=pathlib.Path, help="folder to create")
        command.set_defaults(run=run)
    args = vars(parser.parse_args())
    with one_line_errors():
        args.pop("run")(**args)


if __name__ == "__main__":
    main()

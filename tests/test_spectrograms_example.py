import numpy as np
import pytest

from examples import spectrograms
from pgtf.dataset import inspection
from tests.dataset.commands import run


def tone():
    time = np.arange(spectrograms.LENGTH) / spectrograms.RATE
    return 0.5 * np.sin(2 * np.pi * (700 * time + 500 * time**2)) * np.exp(-3 * time)


def test_a_sound_survives_the_way_to_an_image_and_back():
    image = spectrograms.spectrogram(tone())
    assert (image.shape, image.dtype) == ((32, 128, 2), np.float32)
    assert np.abs(image).max() <= 1
    inner = slice(spectrograms.WINDOW, -spectrograms.WINDOW)
    np.testing.assert_allclose(spectrograms.sound_of(image)[inner], tone()[inner], atol=1e-3)


def test_the_channels_are_what_the_example_says():
    frequency = 10.25 * spectrograms.RATE / spectrograms.WINDOW
    time = np.arange(spectrograms.LENGTH) / spectrograms.RATE
    image = spectrograms.spectrogram(np.sin(2 * np.pi * frequency * time))
    loudest = image[:, 5:-5, 0].mean(axis=1).argmax()
    assert loudest == 10
    # A quarter of a bin above its middle: HOP / WINDOW of a turn, per frame and bin.
    turn = 0.25 * spectrograms.HOP / spectrograms.WINDOW
    np.testing.assert_allclose(image[10, 5:, 1], 2 * turn, atol=1e-3)
    assert spectrograms.spectrogram(np.zeros(spectrograms.LENGTH))[..., 0].max() == -1


def test_sounds_are_a_dataset_of_a_grid_of_2x8_with_two_channels(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spectrograms, "TONES", 3)
    spectrograms.tones(tmp_path / "wav")
    spectrograms.make(tmp_path / "wav", tmp_path / "npy")
    flags = ("--grid=2x8", "--range=-1,1", "--shuffle=0")
    assert run("create_from_arrays", tmp_path / "set", tmp_path / "npy", *flags) == 0
    dataset = inspection.verify(str(tmp_path / "set"))
    assert (dataset.size, dataset.num_channels, dataset.num_images) == ((32, 128), 2, 3)
    assert dataset.value_range == (-1, 1)
    assert run("extract", tmp_path / "set", tmp_path / "again") == 0
    spectrograms.sound(tmp_path / "again", tmp_path / "sounds")
    first = spectrograms.read_wav(tmp_path / "wav" / "tone-000.wav")
    found = spectrograms.read_wav(tmp_path / "sounds" / "img00000000.wav")
    assert np.corrcoef(first, found)[0, 1] > 0.99


@pytest.mark.parametrize("content", [b"", b"RIFF1234WAVE", b"text"])
def test_a_damaged_sound_is_one_line(content, tmp_path):
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(ValueError, match="x.wav: not a WAV file, or damaged"):
        spectrograms.read_wav(tmp_path / "x.wav")

"""Photographs in the wild with known faces: cartoons on real backgrounds, their eyes marked."""

import csv
import dataclasses
import functools
import math
import pathlib

import numpy as np
import PIL.Image
import PIL.ImageDraw
import skimage

from pgtf.dataset.sources import demo

# Landmarks as the demo draws them, in the head's frame: the picture is 2 high and wide, y is down.
HEAD = np.array([[-0.21, 0.05], [0.21, 0.05], [0, 0.17], [-0.14, 0.39], [0.14, 0.39]])
HEAD_SHIFT = 0.04  # shift of the head's frame, downwards
MARK = 0.03  # radius of the marks on the eyes as a fraction of a pasted face
MAGENTA = (255, 0, 255)
COLUMNS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")


@dataclasses.dataclass(frozen=True)
class Photograph:
    """One photograph and the landmarks of its face."""

    pixels: np.ndarray  # uint8 [H, W, 3]
    landmarks: np.ndarray  # float64 [5, 2], x and y; integers are the centres of pixels


@functools.cache
def backgrounds():
    """Real photographs that ship inside scikit-image."""
    folder = pathlib.Path(skimage.__file__).parent / "data"
    names = ("astronaut.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
    return [PIL.Image.open(folder / name).convert("RGB") for name in names]


def photograph(rng, sizes=(90, 400)):
    """Pastes a face of a random size, at a random angle, anywhere on a background."""
    faces = demo.sample_faces(1, int(rng.integers(1 << 30)))
    faces[:, len(demo.FACTORS) :] = 0.5  # the mean pose: upright, in the middle
    size = int(rng.integers(*sizes))
    face = PIL.Image.fromarray(demo.draw_faces(faces, size)[0].transpose(1, 2, 0))
    angle = math.radians(float(rng.uniform(-60, 60)))
    background = backgrounds()[int(rng.integers(len(backgrounds())))].copy()
    reach = 0.3 * size  # the landmarks lie within this distance of the middle
    x, y = (float(rng.uniform(reach, side - reach)) for side in background.size)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.array([x, y])
    landmarks = (HEAD + [0, HEAD_SHIFT]) * size / 2 @ turn.T + middle
    draw = PIL.ImageDraw.Draw(face)
    for eye in (HEAD[:2] + [0, HEAD_SHIFT] + 1) * size / 2:
        # Integers are the corners of pixels here, but the centres of pixels for Pillow.
        corners = eye - 0.5 - MARK * size, eye - 0.5 + MARK * size
        draw.ellipse([tuple(corner) for corner in corners], fill=MAGENTA)
    offset = size / 2 - turn.T @ middle  # from the photograph to the drawn face
    matrix = (*turn.T[0], offset[0], *turn.T[1], offset[1])
    pasted, mask = (
        picture.transform(
            background.size, PIL.Image.Transform.AFFINE, matrix, PIL.Image.Resampling.BICUBIC
        )
        for picture in (face, PIL.Image.new("L", face.size, 255))
    )
    background.paste(pasted, mask=mask)
    return Photograph(np.asarray(background), landmarks - 0.5)


def write_folder(folder, photographs, extension="png"):
    """Writes photographs and landmarks.csv -> path of the table."""
    folder.mkdir()
    rows = []
    for number, photo in enumerate(photographs):
        name = f"{number:03d}.{extension}"
        PIL.Image.fromarray(photo.pixels).save(folder / name, quality=95)
        rows.append((name, photo.landmarks))
    return write_table(folder / "landmarks.csv", rows)


def write_table(path, rows):
    """Writes (file, landmarks [5, 2]) as CSV -> path."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", *(f"{name}_{axis}" for name in COLUMNS for axis in "xy")])
        for name, landmarks in rows:
            writer.writerow([name, *np.asarray(landmarks).ravel().tolist()])
    return path


def expected_eyes(landmarks, side):
    """Computes the places of the eyes in the finished image as in docs/celebahq.md, section 3.

    float64 [5, 2] -> [2, 2]: x and y from 0 to `side`.
    """
    left, right, _, left_mouth, right_mouth = landmarks + 0.5
    eyes, mouth = (left + right) / 2, (left_mouth + right_mouth) / 2
    across, down = right - left, mouth - eyes
    x = across - np.array([-down[1], down[0]])
    x *= max(np.hypot(*across) * 2, np.hypot(*down) * 1.8) / np.hypot(*x)
    y = np.array([-x[1], x[0]])
    middle = eyes + 0.1 * down
    units = np.stack([x, y]) / (x @ x)  # one half of the square
    return np.stack([(units @ (eye - middle) + 1) * side / 2 for eye in (left, right)])


def found_eyes(image, around):
    """Finds the marks in an image, uint8 [3, H, W], near places [2, 2] -> [2, 2]."""
    red, green, blue = image.astype(np.float64)
    strength = np.clip(np.minimum(red, blue) - green - 100, 0, None)
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]] + 0.5
    found = []
    for x, y in around:
        near = strength * (np.hypot(columns - x, rows - y) < 0.08 * image.shape[1])
        found.append([(near * columns).sum() / near.sum(), (near * rows).sum() / near.sum()])
    return np.array(found)

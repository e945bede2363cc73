"""Synthetic files in the forms of MNIST, CIFAR, SVHN and CelebA, the same for everyone.

The original release was run on them, so that its hashes are known; they are too large to be stored.
Integer arithmetic only: every NumPy gives the same bytes.
"""

import pickle

import numpy as np
import PIL.Image

CELEBA_IMAGES = 200


def noise(seed, shape):
    """Random bytes, the upper half of each image drawn towards a gray of its own."""
    images = np.frombuffer(np.random.RandomState(seed).bytes(int(np.prod(shape))), np.uint8)
    images = images.reshape(shape).copy()
    grays = (np.arange(shape[0]) * 37 % 256).astype(np.uint16)
    grays = grays.reshape(-1, *[1] * (len(shape) - 1))
    upper = images[..., : shape[-2] // 2, :]
    upper[...] = (upper + 3 * grays) // 4
    return images


def classes(seed, num, num_classes):
    draws = np.frombuffer(np.random.RandomState(seed).bytes(4 * num), "<u4")
    return (draws % num_classes).astype(np.int64)


def idx(values):
    """IDX file of bytes."""
    sizes = np.array([0x800 + values.ndim, *values.shape], ">u4")
    return sizes.tobytes() + values.tobytes()


def write_mnist(folder, num=60_000):
    """Unpacked, as people have it too."""
    folder.mkdir(parents=True)
    images, labels = noise(1001, (num, 28, 28)), classes(1002, num, 10).astype(np.uint8)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    return images, labels


def write_pickle(path, content):
    path.write_bytes(pickle.dumps(content, protocol=2))


def write_cifar10(folder, num=10_000):
    folder.mkdir(parents=True)
    for number in range(1, 6):
        content = {
            "batch_label": f"training batch {number} of 5",
            "labels": classes(2100 + number, num, 10).tolist(),
            "data": noise(2000 + number, (num, 3, 32, 32)).reshape(num, -1),
        }
        write_pickle(folder / f"data_batch_{number}", content)


def write_cifar100(folder, num=50_000):
    folder.mkdir(parents=True)
    labels = classes(3002, num, 100)
    content = {
        "fine_labels": labels.tolist(),
        "coarse_labels": (labels // 5).tolist(),
        "data": noise(3001, (num, 3, 32, 32)).reshape(num, -1),
    }
    write_pickle(folder / "train", content)


def write_svhn(folder, num=24_419):
    """Three files of the form that the original reads."""
    folder.mkdir(parents=True)
    for number in (1, 2, 3):
        images = noise(4000 + number, (num, 3, 32, 32))
        labels = classes(4100 + number, num, 10).astype(np.uint8)
        write_pickle(folder / f"train_{number}.pkl", (images, labels))


def write_celeba(folder, num=CELEBA_IMAGES):
    folder = folder / "img_align_celeba_png"
    folder.mkdir(parents=True)
    y, x = np.mgrid[0:218, 0:178]
    for i in range(num):
        grain = np.random.RandomState(5000 + i).bytes(218 * 178 * 3)
        grain = np.frombuffer(grain, np.uint8).reshape(218, 178, 3) // 16
        ramps = [(x * (1 + i % 5) + y * (c + 1) + 29 * i) // 3 % 241 for c in range(3)]
        image = np.stack(ramps, axis=2).astype(np.uint8) + grain
        PIL.Image.fromarray(image).save(folder / f"{i + 1:06d}.png", compress_level=1)

"""The networks in NumPy, float64, written from the formulas of the paper and the original release.

Arrays are NHWC. `weights` maps the original's variable names to arrays; the He constant is applied
here, so weights are those of a network with equalized learning rate.
"""

import numpy as np

SQRT2 = np.sqrt(2)


def correlate(x, kernel):
    """Correlation with zero padding: [N, H, W, in] * [k, k, in, out] -> [N, H, W, out]."""
    size, (_, height, width, _) = len(kernel), x.shape
    x = np.pad(x, [(0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0)])
    shifts = [(i, j) for i in range(size) for j in range(size)]
    return sum(x[:, i : i + height, j : j + width] @ kernel[i, j] for i, j in shifts)


def enlarged(x):
    """Nearest neighbours: [N, H, W, C] -> [N, 2H, 2W, C]."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def halved(x):
    """Means of 2x2 boxes: [N, H, W, C] -> [N, H / 2, W / 2, C]."""
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def up_kernel(weight):
    """The ordinary kernel of a fused up-convolution: [k, k, out, in] -> [k, k, in, out]."""
    return weight[::-1, ::-1].swapaxes(2, 3)


def pixel_norm(x, epsilon=1e-8):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + epsilon)


def stddev_of_groups(x, group_size):
    """The minibatch standard deviation of each sample's group: [N, H, W, C] -> [N]."""
    num_groups = len(x) // min(group_size, len(x))
    groups = [x[m::num_groups] for m in range(num_groups)]
    return np.tile([np.sqrt(g.var(axis=0) + 1e-8).mean() for g in groups], len(x) // num_groups)


def leaky_relu(x):
    return np.where(x < 0, 0.2 * x, x)


def generator(weights, latents, num_blocks):
    """Feature maps of every block and its image: [N, latent_size] -> list of [N, R, R, C]."""

    def conv(x, name, up=False, gain=SQRT2):
        weight = weights[f"{name}/weight"]
        fan_in = weight.shape[0] * weight.shape[1] * x.shape[-1]
        kernel = up_kernel(weight) if up else weight
        return (
            correlate(enlarged(x) if up else x, kernel * gain / np.sqrt(fan_in))
            + (weights[f"{name}/bias"])
        )

    x = pixel_norm(latents)
    x = x @ weights["4x4/Dense/weight"] * (SQRT2 / 4 / np.sqrt(x.shape[1]))
    x = x.reshape(len(x), -1, 4, 4).transpose(0, 2, 3, 1) + weights["4x4/Dense/bias"]
    x = pixel_norm(leaky_relu(x))
    x = pixel_norm(leaky_relu(conv(x, "4x4/Conv")))
    images = [conv(x, f"ToRGB_lod{num_blocks - 1}", gain=1)]
    for block in range(1, num_blocks):
        name = f"{4 * 2**block}x{4 * 2**block}"
        x = pixel_norm(leaky_relu(conv(x, f"{name}/Conv0_up", up=True)))
        x = pixel_norm(leaky_relu(conv(x, f"{name}/Conv1")))
        images.append(conv(x, f"ToRGB_lod{num_blocks - 1 - block}", gain=1))
    return images


def discriminator(weights, images, alpha, group_size, num_blocks, finest=0, statistic=None):
    """Scores and label logits at the resolution of lod `finest`: [N, R, R, C] -> [N, 1 + L].

    `statistic` computes the maps that are appended at 4x4, [N, 4, 4, C] -> [N, 4, 4, maps]; None
    is the minibatch standard deviation.
    """

    def conv(x, name):
        weight = weights[f"{name}/weight"]
        scale = SQRT2 / np.sqrt(np.prod(weight.shape[:3]))
        return correlate(x, weight * scale) + weights[f"{name}/bias"]

    def dense(x, name, gain):
        weight = weights[f"{name}/weight"]
        return x @ weight * (gain / np.sqrt(len(weight))) + weights[f"{name}/bias"]

    x = leaky_relu(conv(images, f"FromRGB_lod{finest}"))
    for lod in range(finest, num_blocks - 1):
        name = f"{x.shape[1]}x{x.shape[1]}"
        x = leaky_relu(conv(x, f"{name}/Conv0"))
        x = leaky_relu(halved(conv(x, f"{name}/Conv1_down")))  # pooled before the bias: the same
        if lod == finest:
            old = leaky_relu(conv(halved(images), f"FromRGB_lod{lod + 1}"))
            x = x * alpha + old * (1 - alpha)
    if statistic is None:
        maps = stddev_of_groups(x, group_size)[:, None, None, None] * np.ones_like(x[..., :1])
    else:
        maps = statistic(x)
    x = leaky_relu(conv(np.concatenate([x, maps], axis=-1), "4x4/Conv"))
    x = leaky_relu(dense(x.transpose(0, 3, 1, 2).reshape(len(x), -1), "4x4/Dense0", SQRT2))
    return dense(x, "4x4/Dense1", 1)

"""tests/data/addons.json is what tensorflow-addons computes; run by `make test-addons` alone.

    .venv-addons/bin/python -m tests.addons.test_reference_values    # writes the file anew

The package cannot be imported next to the TensorFlow of this project, so the other tests compare
with the file. Inputs come from np.random.RandomState(seed), whose stream NumPy keeps for good.
"""

import json
import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

PATH = pathlib.Path(__file__).parents[1] / "data" / "addons.json"
DECAYS = (0.9, 0.999)
# (seed, size, sigma, filter size): the blurs of sigma 1 and 2 cut off at 4 sigma, and the window
# the window of MS-SSIM (Wang et al. 2003): sigma 1.5, 11 wide.
BLURS = ((1, 12, 1.0, 9), (2, 24, 2.0, 17), (3, 16, 1.5, 11))


def moving_average(decay, seed=0, num_updates=20, num_weights=5):
    """Averages of weights that a stochastic gradient descent moves, after each update."""
    random = np.random.RandomState(seed)
    weights = tf.Variable(random.randn(num_weights).astype(np.float32))
    gradients = random.randn(num_updates, num_weights).astype(np.float32)
    optimizer = tfa.optimizers.MovingAverage(
        tf.keras.optimizers.legacy.SGD(learning_rate=1.0), average_decay=decay
    )
    values = {"decay": decay, "seed": seed, "initial": weights.numpy()}
    values |= {"weights": [], "averages": []}
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), weights)])
        values["weights"].append(weights.numpy())
        values["averages"].append(optimizer.get_slot(weights, "average").numpy())
    return values


def gaussian_blur(seed, size, sigma, filter_size):
    """A [size, size] image of uniform noise and its blur, mirrored with the edge pixel repeated."""
    image = np.random.RandomState(seed).rand(size, size).astype(np.float32)
    blurred = tfa.image.gaussian_filter2d(image, filter_size, sigma, padding="SYMMETRIC")
    values = {"seed": seed, "sigma": sigma, "filter_size": filter_size}
    return values | {"image": image, "blurred": blurred.numpy()}


def reference_values():
    return {
        "made_by": f"tensorflow-addons {tfa.__version__}, tensorflow {tf.__version__}",
        "moving_average": [moving_average(decay) for decay in DECAYS],
        "gaussian_blur": [gaussian_blur(*blur) for blur in BLURS],
    }


def test_the_stored_moving_averages_are_those_of_tensorflow_addons():
    _compare("moving_average", len(DECAYS))


def test_the_stored_blurs_are_those_of_tensorflow_addons():
    _compare("gaussian_blur", len(BLURS))


def _compare(kind, num_cases):
    stored, computed = json.loads(PATH.read_text())[kind], reference_values()[kind]
    assert len(stored) == len(computed) == num_cases
    for case, expected in zip(stored, computed):  # noqa: B905 - Python 3.9 has no strict=
        assert case.keys() == expected.keys()
        for name in case:
            np.testing.assert_allclose(case[name], expected[name], rtol=0, atol=1e-6, err_msg=name)


if __name__ == "__main__":
    PATH.write_text(
        json.dumps(reference_values(), default=lambda a: np.round(a.astype(float), 8).tolist())
    )

import numpy as np
import pytest
import tensorflow as tf

from pgtf.augment import ada, diffaug, resampling
from tests.augment import oracle

SHAPES = [(16, 16, 3), (16, 24, 5), (8, 8, 1), (4, 4, 3)]


def draws(kind, num=64, seed=0, **columns):
    """Random draws with the given columns set to a value for all images."""
    rng = np.random.default_rng(seed)
    uniforms = rng.random([num, len(kind.uniform_names)]).astype(np.float32)
    normals = rng.normal(size=[num, len(kind.normal_names)]).astype(np.float32)
    for name, value in columns.items():
        names, table = (
            (kind.uniform_names, uniforms)
            if name in kind.uniform_names
            else (kind.normal_names, normals)
        )
        table[:, names.index(name)] = value
    return kind(tf.constant(uniforms), tf.constant(normals))


def only(operation, **columns):
    """Draws of one image for which one operation alone applies at p = 0.5."""
    off = {f"if_{name}": 0.9 for name in ada.AdaDraws.operations}
    on = {f"if_{name}": 0.1 for name in operation.split()}
    return draws(ada.AdaDraws, 1, **(off | on | columns))


def random_images(num, shape, seed=5):
    values = np.random.default_rng(seed).uniform(-1, 1, size=(num, *shape))
    return tf.constant(values.astype(np.float32))


def augmented(image, operation, **columns):
    return ada.augment(image, only(operation, **columns), 0.5).numpy()[0]


def function_of(kind, num, p=0.8):
    """Augmentation of `num` images with fixed draws; "selected" is ADA's form for CPUs."""
    if kind == "diffaug":
        return lambda images: diffaug.augment(images, draws(diffaug.DiffAugDraws, num))
    drawn = draws(ada.AdaDraws, num)
    return lambda images: ada.augment(images, drawn, p, by_selection=kind == "selected")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["ada", "selected"])
def test_ada_with_probability_0_changes_no_bit(kind, shape):
    images = random_images(8, shape)
    np.testing.assert_array_equal(function_of(kind, 8, p=0.0)(images), images)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["ada", "selected", "diffaug"])
def test_the_gradient_is_the_exact_adjoint(kind, shape):
    x, y = random_images(16, shape), random_images(16, shape, seed=6)
    function = function_of(kind, 16)
    with tf.GradientTape() as outer:
        outer.watch(y)
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function(x)
        adjoint = tape.gradient(result, x, output_gradients=y)
    linear = (result - function(tf.zeros_like(x))).numpy().astype(float)  # without brightness
    forward, backward = np.sum(linear * y), np.sum(adjoint.numpy().astype(float) * x)
    size = np.linalg.norm(linear) * np.linalg.norm(y)
    assert forward == pytest.approx(backward, abs=1e-6 * size)
    again = outer.gradient(adjoint, y, output_gradients=x)  # the adjoint of the adjoint
    np.testing.assert_allclose(again, linear, atol=1e-5)


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_the_form_for_cpus_gives_the_same_values_and_gradients(p):
    x, y = random_images(16, (16, 24, 3)), random_images(16, (16, 24, 3), seed=6)
    found = []
    for kind in ("ada", "selected"):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function_of(kind, 16, p)(x)
        found.append((result, tape.gradient(result, x, output_gradients=y)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6 * np.abs(one).max())


def test_ada_flips_turns_and_shifts_whole_pixels():
    image = random_images(1, (16, 16, 3))
    plain = image.numpy()[0]
    np.testing.assert_array_equal(augmented(image, "flip", flip=0.7), plain[:, ::-1])
    np.testing.assert_array_equal(augmented(image, "flip", flip=0.3), plain)
    for u, k in ((0.1, 0), (0.3, 1), (0.6, 2), (0.8, 3)):
        np.testing.assert_array_equal(augmented(image, "turn", turn=u), np.rot90(plain, -k))
    padded = np.pad(plain, [(2, 2), (2, 2), (0, 0)], mode="symmetric")
    moved = augmented(image, "shift", shift_x=0.99, shift_y=0.25)  # 2 to the right, 1 up
    np.testing.assert_array_equal(moved, padded[3:19, 0:16])


def test_ada_turns_images_that_are_not_square_by_half_turns_only():
    image = random_images(1, (16, 24, 1))
    plain = image.numpy()[0]
    np.testing.assert_array_equal(augmented(image, "turn", turn=0.3), plain)
    np.testing.assert_array_equal(augmented(image, "turn", turn=0.6), plain[::-1, ::-1])


def test_ada_warps_by_the_map_of_its_operations():
    image = random_images(1, (16, 24, 2))
    found = augmented(
        image,
        "scale rotate stretch move",
        **{"if_rotate": 0.2, "scale": 1.5, "rotate": 0.6, "stretch": -1.0},
        **{"move_x": 0.5, "move_y": -0.7},
    )
    scale, stretch, angle = 2 ** (0.2 * 1.5), 2 ** (-0.2), 0.2 * np.pi
    forward = np.eye(3)  # of positions, x to the right and y down
    forward = np.diag([scale, scale, 1]) @ forward
    cos, sin = np.cos(angle), np.sin(angle)
    forward = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ forward
    forward = np.diag([stretch, 1 / stretch, 1]) @ forward
    forward = np.array([[1, 0, 24 * 0.5 / 8], [0, 1, 16 * -0.7 / 8], [0, 0, 1]]) @ forward
    plain = image.numpy()[0].astype(float)
    expected = oracle.warped(plain, np.linalg.inv(forward), resampling.low_pass())
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_both_rotations_together_apply_with_probability_p():
    rotated = draws(ada.AdaDraws, 1, **{f"if_{n}": 0.9 for n in ada.AdaDraws.operations})
    maps, is_hit = ada._geometric_maps(random_images(1, (16, 16, 1)), rotated, 0.5)
    np.testing.assert_array_equal(maps[0], np.eye(3))
    assert not is_hit[0]
    for value, hit in ((0.29, True), (0.30, False)):  # 1 - sqrt(1 - 0.5) = 0.2929
        _, is_hit = ada._geometric_maps(
            random_images(1, (16, 16, 1)), only("", if_rotate=value), 0.5
        )
        assert is_hit[0] == hit


def test_ada_colours():
    image = random_images(1, (4, 4, 3))
    plain = image.numpy()[0]
    gray = plain.mean(axis=2, keepdims=True)
    close = {"atol": 2e-6}
    found = augmented(image, "brightness", brightness=2.0)
    np.testing.assert_allclose(found, plain + 0.4, **close)
    found = augmented(image, "contrast", contrast=2.0)
    np.testing.assert_allclose(found, plain * 2, **close)
    found = augmented(image, "luma", luma=0.7)
    np.testing.assert_allclose(found, plain - 2 * gray, **close)
    found = augmented(image, "saturation", saturation=-1.0)
    np.testing.assert_allclose(found, gray + (plain - gray) / 2, **close)
    # A third of a turn moves red to green, green to blue and blue to red.
    found = augmented(image, "hue", hue=0.5 + 1 / 3)
    np.testing.assert_allclose(found, np.roll(plain, 1, axis=2), **close)
    found = augmented(image, "brightness contrast", brightness=1.0, contrast=-2.0)
    np.testing.assert_allclose(found, (plain + 0.2) / 2, **close)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_hue_and_saturation_are_for_rgb_and_luma_for_gray_too(channels):
    image = random_images(1, (4, 4, channels))
    plain = image.numpy()[0]
    changed = augmented(image, "hue saturation luma", hue=0.9, saturation=2.0, luma=0.7)
    np.testing.assert_allclose(changed, -plain if channels == 1 else plain, atol=1e-6)
    brighter = augmented(image, "brightness", brightness=-1.0)
    np.testing.assert_allclose(brighter, plain - 0.2, atol=1e-6)


def test_small_images_are_not_moved_or_resampled():
    image = random_images(1, (8, 8, 3))
    moves = "shift scale rotate stretch rotate_again move"
    np.testing.assert_array_equal(augmented(image, moves), image.numpy()[0])


@pytest.mark.parametrize("p", [0.25, 0.8])
def test_each_operation_applies_with_probability_p(p):
    many = draws(ada.AdaDraws, 20000)
    for operation in ada.AdaDraws.operations:
        share = float(tf.reduce_mean(many.applies(operation, p)))
        assert share == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / 20000))


def test_every_operation_has_random_numbers_of_its_own():
    for kind in (ada.AdaDraws, diffaug.DiffAugDraws):
        names = kind.uniform_names + kind.normal_names
        assert len(set(kind.uniform_names)) == len(kind.uniform_names)
        assert len(set(kind.normal_names)) == len(kind.normal_names)
        assert names


def cut_reference(image, shift, centre):
    """DiffAugment's translation and cutout of a square image [R, R, C]."""
    size = len(image)
    padded = np.pad(image, [(size, size), (size, size), (0, 0)])
    x, y = shift
    moved = padded[size - y : 2 * size - y, size - x : 2 * size - x].copy()
    left, top = (c - size // 4 for c in centre)
    moved[max(top, 0) : max(top + size // 2, 0), max(left, 0) : max(left + size // 2, 0)] = 0
    return moved


@pytest.mark.parametrize(
    ("shift", "centre"), [((2, -1), (3, 16)), ((-2, 2), (0, 8)), ((0, 0), (9, 5))]
)
def test_diffaug_moves_and_cuts(shift, centre):
    image = random_images(1, (16, 16, 3))
    columns = {name: (s + 2.5) / 5 for name, s in zip(("shift_x", "shift_y"), shift, strict=True)}
    columns |= {n: (c + 0.5) / 17 for n, c in zip(("cut_x", "cut_y"), centre, strict=True)}
    neutral = {"brightness": 0.5, "saturation": 0.5, "contrast": 0.5}
    drawn = draws(diffaug.DiffAugDraws, 1, **neutral, **columns)
    found = diffaug.augment(image, drawn).numpy()[0]
    np.testing.assert_allclose(found, cut_reference(image.numpy()[0], shift, centre), atol=3e-7)


def test_diffaug_colours():
    image = random_images(1, (4, 4, 3))
    plain = image.numpy()[0].astype(float)
    drawn = draws(diffaug.DiffAugDraws, 1, brightness=0.75, saturation=0.25, contrast=0.75)
    bright = plain + 0.25
    gray = bright.mean(axis=2, keepdims=True)
    weak = gray + (bright - gray) * 0.5
    expected = weak.mean() + (weak - weak.mean()) * 1.25
    np.testing.assert_allclose(diffaug.augment(image, drawn)[0], expected, atol=1e-6)


@pytest.mark.parametrize("kind", [pytest.param("ada", marks=pytest.mark.slow), "diffaug"])
def test_compiled_augmentation_equals_plain(kind):
    images, function = random_images(4, (16, 16, 3)), function_of(kind, 4)
    compiled = tf.function(function, jit_compile=True, autograph=False)
    np.testing.assert_allclose(compiled(images), function(images), atol=1e-4)

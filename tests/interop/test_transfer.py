import dataclasses

import numpy as np
import pytest

from pgtf import networks
from pgtf.interop import transfer
from tests import tiny

RNG = np.random.default_rng(3)


def trained(**options):
    G = tiny.with_random_biases(tiny.generator(seed=5, **options), RNG)
    return G, tiny.with_random_biases(tiny.discriminator(seed=6, **options), RNG)


def fill(theirs, same_labels=True, **options):
    """A new network with changed options, filled from a trained one: (network, rows)."""
    config = dataclasses.replace(theirs.config, **options)
    network = networks.build(config, seed=9)
    arrays, rows = transfer.transferred(
        theirs.config, tiny.arrays_of(theirs), config, tiny.arrays_of(network), same_labels
    )
    for name, variable in network.variables_by_name.items():
        variable.assign(arrays[name])
    return network, rows


def latents(num=4):
    return RNG.normal(size=[num, tiny.LATENT_SIZE]).astype(np.float32)


def states(rows):
    return {(row.resolution, row.layer): row.state for row in rows}


def test_networks_that_grow_on_give_the_same_images_and_scores_at_the_old_resolution():
    G, D = trained()
    z = latents()
    images = G(z)
    larger_G, rows_G = fill(G, resolution=64)
    larger_D, rows_D = fill(D, resolution=64)
    np.testing.assert_array_equal(larger_G(z, lod=2), images)
    np.testing.assert_array_equal(larger_D(images, lod=2)[0], D(images)[0])
    for rows in (rows_G, rows_D):
        assert {r.state for r in rows if r.resolution <= 16} == {"taken"}
        assert {r.state for r in rows if r.resolution > 16} == {"new"}


def test_smaller_networks_take_the_coarse_blocks():
    G, D = trained()
    z = latents()
    smaller_G, rows = fill(G, resolution=8)
    np.testing.assert_array_equal(smaller_G(z), G(z, lod=1))
    assert {row.state for row in rows} == {"taken"}
    (note,) = {row.note for row in rows if row.layer == "ToRGB" and row.resolution == 8}
    assert note == "as of 8x8 in its training"
    images = RNG.normal(size=[4, 8, 8, 3]).astype(np.float32)
    smaller_D, _ = fill(D, resolution=8)
    np.testing.assert_array_equal(smaller_D(images)[0], D(images, lod=1)[0])


def test_gray_networks_have_new_image_layers_alone():
    G, D = trained()
    for network, layer in ((G, "ToRGB"), (D, "FromRGB")):
        filled, rows = fill(network, num_channels=1)
        assert all((row.state == "new") == (row.layer == layer) for row in rows)
        assert {row.note for row in rows if row.layer == layer} == {"RGB -> gray"}
        old, new = tiny.arrays_of(network), tiny.arrays_of(filled)
        for name in old:
            if layer not in name:
                np.testing.assert_array_equal(new[name], old[name])


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("old_labels", [0, 2])
def test_new_labels_leave_the_images_of_a_zero_label(normalize, old_labels):
    options = {"label_size": old_labels, "normalize_latents": normalize}
    G = tiny.with_random_biases(tiny.generator(seed=5, **options), RNG)
    z = latents()
    filled, rows = fill(G, same_labels=False, label_size=3)
    expected = G(z, np.zeros([4, old_labels], np.float32))
    found = filled(z, np.zeros([4, 3], np.float32))
    tiny.assert_the_same_but_for_rounding(found, expected)
    assert states(rows)[4, "Dense"] == "taken in part"
    assert np.abs(filled(z, np.eye(3, dtype=np.float32)[[0, 0, 0, 0]]) - found).max() > 1e-3


def test_new_labels_leave_scores_and_start_label_logits_anew():
    D = tiny.with_random_biases(tiny.discriminator(seed=6, label_size=2), RNG)
    images = RNG.normal(size=[4, 16, 16, 3]).astype(np.float32)
    filled, rows = fill(D, same_labels=False, label_size=5)
    np.testing.assert_allclose(filled(images)[0], D(images)[0], rtol=1e-5, atol=1e-6)
    assert filled(images)[1].shape == (4, 5)
    fresh = tiny.arrays_of(networks.build(filled.config, seed=9))["4x4/Dense1/weight"]
    np.testing.assert_array_equal(tiny.arrays_of(filled)["4x4/Dense1/weight"][:, 1:], fresh[:, 1:])
    assert states(rows)[4, "Dense1"] == "taken in part"


def test_the_same_labels_are_taken_whole():
    G = tiny.generator(seed=5, label_size=2)
    filled, rows = fill(G, same_labels=True)
    assert {row.state for row in rows} == {"taken"}
    z, labels = latents(), np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    np.testing.assert_array_equal(filled(z, labels), G(z, labels))
    _, rows = fill(G, same_labels=False)
    assert states(rows)[4, "Dense"] == "taken in part"


def test_common_blocks_of_another_shape_are_refused_and_what_fits_is_named():
    G, _ = trained()
    message = (
        r"`transfer` needs networks whose common blocks have the same shape. Received: "
        r"4x4/Dense/weight is .* What fits is fmap_base=32, fmap_max=8, as in the file.|"
        r"4x4/Conv/weight is \[3, 3, 4, 4\] here, \[3, 3, 8, 8\] in the file.*fmap_max=8"
    )
    with pytest.raises(ValueError, match=message):
        fill(G, fmap_max=4, latent_size=8)
    with pytest.raises(ValueError, match="latent vectors have 5 values here, 8 in the file"):
        fill(G, latent_size=5)
    with pytest.raises(ValueError, match="8x8/Conv0/weight is not in the file"):
        fill(G, fused_scale=False)


@pytest.mark.parametrize("grid", ["5x4", "2x8", "8x2", "8x8"])
def test_another_grid_is_refused_even_if_it_has_as_many_pixels(grid):
    G, D = trained()
    message = (
        f"Received: grid=4x4 in the file, grid={grid} in the dataset. What fits is .* --grid=4x4"
    )
    for network in (G, D):
        with pytest.raises(ValueError, match=message):
            fill(network, grid=grid)
    # Labels are no reason to overlook the grid.
    with pytest.raises(ValueError, match=message):
        fill(G, grid=grid, label_size=2, same_labels=False)


def test_frozen_are_the_finest_taken_blocks_and_their_image_layers():
    _, D = trained()
    filled, rows = fill(D, resolution=32)
    names = list(filled.variables_by_name)
    frozen = transfer.frozen_names(rows, names, filled.config, 2)
    layers = {name.rpartition("/")[0] for name in frozen}
    assert layers == {
        *("16x16/Conv0", "16x16/Conv1_down", "FromRGB_lod1"),
        *("8x8/Conv0", "8x8/Conv1_down", "FromRGB_lod2"),
    }
    assert transfer.frozen_names(rows, names, filled.config, 0) == set()
    everything = transfer.frozen_names(rows, names, filled.config, 3)
    assert {name.rpartition("/")[0] for name in everything - frozen} == {"4x4/Conv", "FromRGB_lod3"}
    with pytest.raises(ValueError, match=r"`freeze_D` must be in 0 \.\.\. 3.* freeze_D=4"):
        transfer.frozen_names(rows, names, filled.config, 4)


def test_new_image_layers_are_never_frozen():
    _, D = trained()
    filled, rows = fill(D, num_channels=1)
    frozen = transfer.frozen_names(rows, list(filled.variables_by_name), filled.config, 1)
    assert {name.rpartition("/")[0] for name in frozen} == {"16x16/Conv0", "16x16/Conv1_down"}


def test_the_table_has_a_line_per_resolution_and_state():
    _, D = trained()
    _, rows = fill(D, resolution=32, num_channels=1)
    lines = transfer.table(rows).splitlines()
    assert lines[0].split() == ["network", "resolution", "weights", "layers"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["D", "4x4", "new"],
        ["D", "4x4", "taken"],
        ["D", "8x8", "new"],
        ["D", "8x8", "taken"],
        ["D", "16x16", "new"],
        ["D", "16x16", "taken"],
        ["D", "32x32", "new"],
    ]
    assert lines[1].endswith("FromRGB (RGB -> gray)")

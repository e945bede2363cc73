"""The FLOP counter against figures worked out apart from it, and against the real layers."""

import pytest

from benchmarks.flops import generation_work, iteration_flops, iteration_work, needed_bytes
from pgtf.networks import Discriminator, Generator

# GFLOP of one iteration of the paper's full-size networks: (resolution, minibatch): fused.
FUSED_GFLOP = {
    (4, 64): 85.52,
    (8, 64): 588.18,
    (16, 16): 649.70,
    (32, 16): 2660.31,
    (64, 8): 2644.79,
    (128, 4): 1979.90,
    (256, 2): 1318.89,
    (512, 1): 824.11,
    (1024, 1): 989.14,
}


@pytest.mark.parametrize(("resolution", "minibatch"), FUSED_GFLOP)
def test_an_iteration_has_the_known_number_of_flops(resolution, minibatch):
    gflop = iteration_flops(resolution, minibatch) / 1e9
    assert gflop == pytest.approx(FUSED_GFLOP[resolution, minibatch], abs=0.005)


def test_flops_are_proportional_to_the_minibatch_and_fading_adds_two_thin_layers():
    assert iteration_flops(16, 8) == 2 * iteration_flops(16, 4)
    added = iteration_flops(16, 1, fading=True) - iteration_flops(16, 1)
    # ToRGB with 4 passes and FromRGB with 11, both 512 maps x 3 channels at 8x8.
    assert added == 2 * (4 + 11) * 512 * 3 * 64
    assert iteration_flops(4, 1, fading=True) == iteration_flops(4, 1)


@pytest.mark.parametrize("resolution", [4, 8, 32])
def test_the_layers_are_those_of_the_networks(resolution):
    options = {"num_channels": 3, "resolution": resolution, "fmap_base": 64, "fmap_max": 16}
    networks = {"G": Generator(**options), "D": Discriminator(**options)}
    counted = iteration_work(resolution, fmap_base=64, fmap_max=16, latent_size=16)
    for kind, network in networks.items():
        sizes = {
            name: variable.shape.num_elements()
            for name, variable in network.variables_at(resolution.bit_length() - 1).items()
            if name.endswith("/weight") and "lod1" not in name
        }
        ours = [layer for layer in counted if layer.name.startswith(kind)]
        found = {
            layer.name: layer.kernel_size**2 * layer.num_inputs * layer.num_outputs
            for layer in ours
        }
        assert sorted(found.values()) == sorted(sizes.values())


def test_making_images_takes_one_forward_pass_of_the_generator():
    work = generation_work(8, fmap_base=64, fmap_max=16, latent_size=16)
    assert {layer.name[:2] for layer in work} == {"G/"}
    assert {(layer.forward, layer.num_passes) for layer in work} == {(1, 1)}


def test_an_iteration_needs_its_weights_moments_and_what_the_second_gradient_looks_at():
    work = iteration_work(4, fmap_base=8, fmap_max=2, latent_size=3)  # 2 maps everywhere
    G = 3 * 32 + 9 * 2 * 2 + 2 * 3
    D = 3 * 2 + 9 * 3 * 2 + 32 * 2 + 2
    outputs_of_D = 2 * 16 + 2 * 16 + 2 + 1
    assert needed_bytes(work, 5) == 4 * (2 * G + D + 2 * (G + D) + 2 * 5 * outputs_of_D)
    (down,) = (layer for layer in iteration_work(8, 8, 2) if layer.kind == "down")
    values = 4 * 5 * (2 * 2 * 16 + 2 * 81)
    assert needed_bytes([down], 5) == 4 * 3 * 9 * 2 * 2 + values
    # Weights and moments of finer stages are held too.
    assert needed_bytes([down], 5, held=work) == 4 * (4 * G + 3 * D) + values

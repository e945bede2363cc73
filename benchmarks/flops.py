"""Multiply-adds of the networks' layers and of the passes of an iteration, counted by hand.

Two FLOPs are a multiply-add. Only convolutions and dense layers count, and every tap does, those on
the zero padding included. `up` and `down` count as the fused 4x4 kernels of stride 2.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class LayerWork:
    """Work of one layer per image, and its number of passes per iteration."""

    name: str
    kind: str  # "conv", "up", "down" or "dense"
    size: int  # pixels of the side of the larger of input and output; 1 for dense
    kernel_size: int
    num_inputs: int  # feature maps
    num_outputs: int
    forward: int  # passes in one iteration
    input_gradient: int
    weight_gradient: int
    places: float = 1.0  # pixels over those of a square: area of the grid over 16; 1 for dense

    @property
    def multiply_adds(self):
        """Multiply-adds of one pass over one image, the same in all three directions."""
        taps = 4 if self.kind in ("up", "down") else self.kernel_size**2
        return round(taps * self.num_inputs * self.num_outputs * self.size**2 * self.places)

    @property
    def num_passes(self):
        return self.forward + self.input_gradient + self.weight_gradient


def iteration_work(
    resolution, fmap_base=8192, fmap_max=512, latent_size=512, fading=False, area=16
):
    """Layers of G and D in an iteration of WGAN-GP with one update each: -> [LayerWork].

    D's update runs G once; D on reals, fakes and mixed images; weight and input gradients of
    reals and fakes; the input gradient of the mixed images, down to the image; and the gradients of
    that gradient: its cotangent goes forward through all layers and gives their weight gradients.
    The minibatch standard deviation alone has a second derivative, for which one ordinary backward
    pass runs through the layers before it. G's update needs no weight gradients of D.

    Args:
        resolution: of the stage.
        fmap_base, fmap_max, latent_size: of the networks.
        fading: whether the images of the stage before are blended in.
        area: pixels of the smallest images.
    """

    def nf(stage):
        return min(int(fmap_base / 2.0**stage), fmap_max)

    last = resolution.bit_length() - 1
    generator = {"forward": 2, "input_gradient": 1, "weight_gradient": 1}
    work = [
        LayerWork("G/4x4/Dense", "dense", 1, 1, latent_size, area * nf(1), 2, 0, 1),
        LayerWork("G/4x4/Conv", "conv", 4, 3, nf(1), nf(1), **generator),
    ]
    for res in range(3, last + 1):
        size, shape = 2**res, (nf(res - 2), nf(res - 1))
        work.append(LayerWork(f"G/{size}x{size}/Conv0_up", "up", size, 3, *shape, **generator))
        shape = (nf(res - 1), nf(res - 1))
        work.append(LayerWork(f"G/{size}x{size}/Conv1", "conv", size, 3, *shape, **generator))
    blended = [last, last - 1] if fading and last > 2 else [last]
    for res in blended:
        work.append(LayerWork(f"G/ToRGB_{2**res}", "conv", 2**res, 1, nf(res - 1), 3, **generator))
    first = {"forward": 5, "input_gradient": 2, "weight_gradient": 4}  # no gradient into images
    before = {"forward": 5, "input_gradient": 5, "weight_gradient": 4}  # before the statistics
    behind = {"forward": 5, "input_gradient": 4, "weight_gradient": 3}
    for res in blended:
        work.append(LayerWork(f"D/FromRGB_{2**res}", "conv", 2**res, 1, 3, nf(res - 1), **first))
    for res in range(last, 2, -1):
        size, shape = 2**res, (nf(res - 1), nf(res - 1))
        work.append(LayerWork(f"D/{size}x{size}/Conv0", "conv", size, 3, *shape, **before))
        shape = (nf(res - 1), nf(res - 2))
        work.append(LayerWork(f"D/{size}x{size}/Conv1_down", "down", size, 3, *shape, **before))
    work.append(LayerWork("D/4x4/Conv", "conv", 4, 3, nf(1) + 1, nf(1), **behind))
    work.append(LayerWork("D/4x4/Dense0", "dense", 1, 1, area * nf(1), nf(0), **behind))
    work.append(LayerWork("D/4x4/Dense1", "dense", 1, 1, nf(0), 1, **behind))
    return [
        layer if layer.kind == "dense" else dataclasses.replace(layer, places=area / 16)
        for layer in work
    ]


def iteration_flops(resolution, minibatch, **options):
    """FLOPs of one D and one G update; options as of `iteration_work`."""
    work = iteration_work(resolution, **options)
    return 2 * minibatch * sum(layer.multiply_adds * layer.num_passes for layer in work)


def needed_bytes(work, minibatch, held=None):
    """Least memory of an iteration in float32: -> bytes.

    Weights of G, D and Gs, both moments of Adam for G and D, and what the gradient of the gradient
    penalty needs of D and of mixed images alone: the outputs of all layers, the means that `down`
    layers convolve, and the gradient of the scores with respect to each output.

    Args:
        work: layers of the stage.
        minibatch: images.
        held: layers that have weights and moments, whether the stage uses them or not; None: work.
    """
    weights, outputs, means = {"G": 0, "D": 0}, 0, 0
    for layer in work if held is None else held:
        weights[layer.name[0]] += layer.kernel_size**2 * layer.num_inputs * layer.num_outputs
    for layer in work:
        if layer.name.startswith("D"):
            size = layer.size // 2 if layer.kind == "down" else layer.size
            outputs += layer.num_outputs * size**2 * layer.places
            padded = (layer.size + 1) ** 2 * layer.places
            means += layer.num_inputs * padded if layer.kind == "down" else 0
    return 4 * (4 * weights["G"] + 3 * weights["D"] + minibatch * (2 * outputs + means))


def generation_work(resolution, **options):
    """The layers of `iteration_work` that make images, each with one forward pass."""
    return [
        dataclasses.replace(layer, forward=1, input_gradient=0, weight_gradient=0)
        for layer in iteration_work(resolution, **options)
        if layer.name.startswith("G/")
    ]

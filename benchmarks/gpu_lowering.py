"""Writes the program of an update for XLA: python -m benchmarks.gpu_lowering 64 32 bf16 D OUT.pb

The networks are those of the paper at full size, the operations those of a GPU, which need not be
there. `before` in place of D, G or iteration is the iteration with the operations that GPUs shared
with CPUs until November 2026.
"""

import pathlib
import tempfile

from pgtf.commands.parsers import Parser

PARTS = ("D", "G", "iteration", "before")
_COPY, _REAL = b"\x12\x04copy", b"\x12\x04real"  # HLO's opcodes: field 2 and 4 characters


def lower(resolution, minibatch, precision, part):
    """The serialized HLO module of one part of an iteration."""
    import tensorflow as tf

    from benchmarks.training import make_stepper
    from pgtf.training.inputs import Inputs
    from pgtf.training.updates import Stage

    with tempfile.TemporaryDirectory() as folder:
        args = (pathlib.Path(folder), resolution, minibatch, precision, "off")
        config, stepper = make_stepper(*args)
    _pretend_a_gpu(part == "before")
    updates = stepper._updates(Stage(resolution, minibatch, fading=False), jit=False)
    channels, num = config.D.num_channels, tf.constant(0, tf.int64)
    latents = tf.zeros([minibatch, stepper._state.G.latent_size])
    labels = tf.zeros([minibatch, 0])
    shape = [minibatch, resolution, resolution, channels]
    images = tf.zeros(shape if part == "before" else [minibatch, channels, *shape[1:3]], tf.uint8)
    one, zero = tf.constant(1.0), tf.constant(0.0)

    def compute_D(images, latents):
        inputs = Inputs(latents, labels, images, None, tf.fill([minibatch, 1, 1, 1], 0.5))
        return updates._compute_D(inputs, num, one, zero)

    def run_D(images, latents, lrate):
        return updates.apply_D(compute_D(images, latents), lrate)

    def run_G(latents, lrate):
        return updates._apply_G(updates._compute_G(Inputs(latents, labels), num, one, zero), lrate)

    def run_both(images, latents, others, lrate):  # Two passes over one input would be merged.
        return run_D(images, latents, lrate), run_G(others, lrate)

    updates._jit = part != "before"  # Adam by selection
    function, arguments = {
        "D": (run_D, (images, latents, zero)),
        "G": (run_G, (latents, zero)),
    }.get(part, (run_both, (images, latents, latents, zero)))
    program = tf.function(function, jit_compile=True, autograph=False)
    module = program.experimental_get_compiler_ir(*arguments)(stage="hlo_serialized")
    # StableHLO has no copy; the real part of real numbers stands for it.
    return module.replace(_COPY, _REAL)


def _pretend_a_gpu(before):
    """Makes this process choose operations and layouts of a GPU, as they are or as they were."""
    from pgtf import ops
    from pgtf.ops import resampling, selection, training
    from pgtf.training import feeding

    for module in (ops, resampling, selection):
        module.has_gpu = lambda: True
    if before:
        ops._BY_DEVICE["GPU"]["training"] = training
        ops.is_joint_pass_faster = training.is_joint_pass_faster
        feeding.channels_first = lambda: False


if __name__ == "__main__":
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("resolution", type=int)
    parser.add_argument("minibatch", type=int)
    parser.add_argument("precision", choices=("fp32", "tf32", "bf16", "fp16"))
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("out", type=pathlib.Path, help="file to write")
    args = parser.parse_args()
    args.out.write_bytes(lower(args.resolution, args.minibatch, args.precision, args.part))

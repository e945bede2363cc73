"""Writes a generator as a version of a model that TensorFlow Serving loads."""

from pathlib import Path

import tensorflow as tf

from pgtf.export.signatures import Facts, make_module
from pgtf.export.version_folder import new_version


def export_generator(Gs, out, *, version=None, facts=None):
    """Writes `out`/<version>/, a SavedModel that loads without this package: -> its path.

    The generator is exported at its own lod, so a snapshot taken while the network grows gives
    images of its stage's resolution.

    Args:
        Gs: the generator, usually the moving average.
        out: folder of the model; its name is the model's name.
        version: integer; None = the next free one.
        facts: what the signature `info` tells; None = the name alone.

    Raises:
        FileExistsError: if the version is there already.
        OSError: if `out` cannot be written.
    """
    out = Path(out)
    facts = facts or Facts(name=out.resolve().name)
    module, signatures = make_module(Gs, facts)
    with new_version(out, version) as target:
        try:
            tf.saved_model.save(module, str(target[0]), signatures)
        except tf.errors.OpError as error:  # TensorFlow's own kind of OSError
            raise OSError(f"{out}: cannot be written: {error.message}") from error
    return out / str(target[1])

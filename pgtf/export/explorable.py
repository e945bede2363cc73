"""What the web page needs to know of a model, live or exported."""

import numpy as np
import tensorflow as tf

from pgtf import images
from pgtf.export import draws
from pgtf.export.version_folder import served_version
from pgtf.networks import latents_from_seeds


class LiveModel:
    """A generator in memory; can be seen at every level of detail."""

    def __init__(self, source):
        self._Gs = source.Gs
        self.name = source.path.stem
        self.latent_size = source.Gs.latent_size
        self.label_size = source.label_size
        self.label_names = source.label_names or tuple(map(str, range(source.label_size)))
        self.lod = source.Gs.lod
        self.max_lod = source.Gs.resolution_log2 - 2  # 4x4

    def draw(self, latents, class_id, lod=None):
        """Latents [N, latent_size], one class or None -> images uint8 [N, R, R, C]."""
        labels = _labels(self, class_id, len(latents))
        return images.to_uint8(self._Gs.run(latents, labels, lod))


class ServedModel:
    """An exported SavedModel; has one level of detail."""

    max_lod = None

    def __init__(self, folder):
        folder = served_version(folder)
        try:
            self._model = tf.saved_model.load(str(folder))
            self._signature = self._model.signatures["serving_default"]
            facts = self._model.signatures["info"](dummy=tf.constant([0], tf.int64))
        except (OSError, KeyError, tf.errors.OpError) as error:
            raise ValueError(f"{folder}: not a SavedModel of generate.py export. {error}") from None
        self.name = facts["name"].numpy()[0].decode()
        self.lod = float(facts["lod"].numpy()[0])
        self.latent_size = int(facts["latent_size"].numpy()[0])
        self.label_size = int(facts["label_size"].numpy()[0])
        self.label_names = tuple(name.decode() for name in facts["label_names"].numpy()[0])

    def draw(self, latents, class_id, lod=None):
        """Latents [N, latent_size], one class or None -> images uint8 [N, R, R, C]."""
        labels = _labels(self, class_id, len(latents))
        inputs = {} if labels is None else {"labels": tf.constant(labels)}
        return self._signature(latents=tf.constant(latents), **inputs)["images"].numpy()


def latents_of(model, seeds):
    """Latents of integer seeds, as in every command: -> float32 [N, latent_size]."""
    return latents_from_seeds(np.asarray(seeds, np.int64), model.latent_size).numpy()


def _labels(model, class_id, num):
    return draws.one_hot([class_id] * num, model.label_size) if model.label_size else None

"""A trained generator as a SavedModel for TensorFlow Serving."""

from pgtf.export.export import export_generator
from pgtf.export.model_card import sha256
from pgtf.export.signatures import Facts

__all__ = ["Facts", "export_generator", "sha256"]

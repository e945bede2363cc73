"""Turns a trained generator into pictures, films, pages and SavedModels."""

from pgtf.export.export import export_generator
from pgtf.export.model_card import sha256
from pgtf.export.signatures import Facts

__all__ = ["Facts", "export_generator", "sha256"]

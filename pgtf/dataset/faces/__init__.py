"""Aligned faces from any photographs, made in the way of CelebA-HQ; see docs/faces.md."""

from pgtf.dataset.faces.builder import Built, create
from pgtf.dataset.faces.options import FaceOptions

__all__ = ["Built", "FaceOptions", "create"]

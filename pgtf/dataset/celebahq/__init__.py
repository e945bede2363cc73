"""CelebA-HQ, rebuilt bit for bit with NumPy and cryptography. Specification: docs/celebahq.md."""

from pgtf.dataset.celebahq.builder import Built, build

__all__ = ["Built", "build"]

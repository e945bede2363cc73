"""Pictures in every format."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms

from tests.fuzz.cases import Case
from tests.fuzz.seeds import HOSTILE


def pixels(height: int = 20, width: int = 24, channels: int = 3) -> np.ndarray:
    """Smooth colors and some noise: uint8 [H, W, C]."""
    y, x = np.mgrid[0:height, 0:width]
    grain = np.random.RandomState(1).randint(0, 40, (height, width, channels))
    ramps = np.stack([(x * (3 + c) + y * (5 - c)) % 200 for c in range(channels)], axis=2)
    return (ramps + grain).astype(np.uint8)


def encoded(kind: str, image: Any = None, **options: Any) -> bytes:
    """A picture as a file of Pillow's format `kind`."""
    image = pixels() if image is None else image
    image = PIL.Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _modes(kind: str, *modes: str, **options: Any) -> list[bytes]:
    image = PIL.Image.fromarray(pixels(channels=4))
    return [encoded(kind, image.convert("RGB").convert(mode), **options) for mode in modes]


def jpeg() -> list[bytes]:
    """Baseline, progressive, gray, CMYK, with metadata."""
    exif = PIL.Image.Exif()
    exif[274], exif[0x010E] = 6, "x"
    return [
        *_modes("JPEG", "RGB", "L", "CMYK"),
        encoded("JPEG", progressive=True, quality=60),
        encoded("JPEG", exif=exif.tobytes(), comment=b"x", subsampling=0, restart_marker_rows=1),
    ]


def png() -> list[bytes]:
    """All kinds of pixels, with a profile, transparency, interlaced, and hostile ones."""
    deep = (np.arange(480, dtype=np.uint16) * 131).reshape(20, 24)
    alpha = PIL.Image.fromarray(pixels(channels=4))
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    return [
        *_modes("PNG", "RGB", "L", "P", "1"),
        encoded("PNG", alpha),
        encoded("PNG", deep),
        encoded("PNG", icc_profile=profile),
        encoded("PNG", alpha, save_all=True, append_images=[alpha]),
        (HOSTILE / "pic-assert.bin").read_bytes(),
    ]


def tiff() -> list[bytes]:
    """Uncompressed and compressed, of several kinds of pixels."""
    deep = (np.arange(480, dtype=np.uint16) * 131).reshape(20, 24)
    packed = [encoded("TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg")]
    return [
        *_modes("TIFF", "RGB", "L", "P", "1", "CMYK"),
        encoded("TIFF", deep),
        *packed,
        *_modes("TIFF", "1", compression="group4"),
        (HOSTILE / "pic-typeerror.bin").read_bytes(),
    ]


PICTURES: dict[str, tuple[str, Any]] = {
    "jpeg": ("a.jpg", jpeg),
    "png": ("a.png", png),
    "webp": (
        "a.webp",
        lambda: [
            encoded("WEBP"),
            encoded("WEBP", PIL.Image.fromarray(pixels(channels=4)), lossless=True),
            encoded("WEBP", save_all=True, append_images=[PIL.Image.new("RGB", (24, 20))]),
        ],
    ),
    "gif": (
        "a.gif",
        lambda: [
            *_modes("GIF", "RGB", "L", "1"),
            encoded("GIF", save_all=True, append_images=[PIL.Image.new("RGB", (24, 20))]),
            (HOSTILE / "pic-memory.bin").read_bytes(),
        ],
    ),
    "bmp": ("a.bmp", lambda: _modes("BMP", "RGB", "L", "P", "1")),
    "tiff": ("a.tif", tiff),
    "avif": ("a.avif", lambda: _modes("AVIF", "RGB", "RGBA", quality=50)),
    "jpeg 2000": (
        "a.jp2",
        lambda: [
            *_modes("JPEG2000", "RGB", "L"),
            encoded("JPEG2000", tile_size=(8, 8), no_jp2=True),
        ],
    ),
    "ppm": (
        "a.ppm",
        lambda: [*_modes("PPM", "RGB", "L", "1"), b"P3 2 2 255 1 2 3 4 5 6 7 8 9 0 1 2"],
    ),
    "tga": (
        "a.tga",
        lambda: [*_modes("TGA", "RGB", "L", "P"), *_modes("TGA", "RGB", compression="tga_rle")],
    ),
}


def pictures(count: int = 3, size: int = 8) -> Case:
    """Square RGB pictures as PNG files."""
    return {f"{i}.png": encoded("PNG", pixels(size, size + i)[:, :size]) for i in range(count)}

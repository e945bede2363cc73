"""Kinds of picture files that are known by name or content, but cannot be read, and the remedy."""

from __future__ import annotations

import importlib
import os

from pgtf.foreign import tiff
from pgtf.foreign.limits import UnreadableKind

# Camera raw: a mosaic of sensor values, beside thumbnails that other decoders take for the picture.
RAW_EXTENSIONS = frozenset(
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .kdc .mef .mos .mrw .nef .nrw .orf "
    ".pef .raf .rw2 .rwl .sr2 .srf .srw .x3f".split()
)
RAW_STARTS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"\0MRM", b"FOVb")
CR2, CRW = b"CR\2\0", b"HEAPCCDR"  # at bytes 8 and 6
HEIC_EXTENSIONS = frozenset((".heic", ".heif", ".hif"))
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1")
JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
JXL_EXTENSIONS = frozenset((".jxl",))
EXTENSIONS = RAW_EXTENSIONS | HEIC_EXTENSIONS | JXL_EXTENSIONS

HEIC = "HEIC picture: pip install pillow-heif lets it be read; or convert it to JPEG or PNG"
BAD_HEIC = (
    "HEIC picture: damaged, or of a kind that pillow-heif cannot read; convert it to JPEG or PNG"
)
JXL = "JPEG XL picture: cannot be read; convert it to PNG first, for example with djxl"


def brands(head: bytes) -> tuple[bytes, ...]:
    """Brands of a file of the ISO base media format, the main one first; () for other files."""
    if head[4:8] != b"ftyp":
        return ()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return (head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4)))


def is_heic(head: bytes) -> bool:
    """True for a picture of HEVC data, as phones take them; AVIF may have the brand mif1 too."""
    found = brands(head)
    return bool({*found} & {*HEIC_BRANDS}) and not {*found} & {b"avif", b"avis"}


def open_heic() -> bool:
    """Lets Pillow open HEIC files, as HEIF; False if the package for that is not installed."""
    try:
        importlib.import_module("pillow_heif").register_heif_opener(thumbnails=False)
    except ImportError:
        return False
    return True


def refuse_unreadable(head: bytes, name: str) -> None:
    """Refuses kinds that its first bytes, or the name of a file that Pillow would misread, tell.

    Args:
        head: first bytes of a file, 32 or more if it has them.
        name: of the file.

    Raises:
        UnreadableKind: names the kind and the remedy.
    """
    is_tiff = head[:4] in tiff.STARTS
    if (
        head.startswith(RAW_STARTS)
        or (is_tiff and head[8:12] == CR2)
        or head[6:14] == CRW
        or b"crx " in brands(head)
        or (is_tiff and extension(name) in RAW_EXTENSIONS)
    ):
        raise UnreadableKind(tiff.CAMERA_RAW)
    if head.startswith(JXL_STARTS):
        raise UnreadableKind(JXL)


def reason_by_name(name: str) -> str | None:
    """Returns the reason why a file that Pillow does not know cannot be read, from its name."""
    for extensions, reason in (
        (RAW_EXTENSIONS, tiff.CAMERA_RAW),
        (HEIC_EXTENSIONS, "not a HEIC picture, or a damaged one"),
        (JXL_EXTENSIONS, "not a JPEG XL picture, which could not be read either"),
    ):
        if extension(name) in extensions:
            return reason
    return None


def extension(name: str) -> str:
    """Extension of a file's name in small letters, with its dot."""
    return os.path.splitext(name)[1].lower()

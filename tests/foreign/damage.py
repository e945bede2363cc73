"""Damages JPEG files and EXIF data at random, and tells what becomes of the pictures.

python -m tests.foreign.damage --count=3000 prints a table; quick tests take a slice of it.
"""

import collections
import dataclasses
import io
import struct

import numpy as np
import PIL.Image

from pgtf.commands.parsers import Parser
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.foreign.pictures import reason

SIDE = 64
ANY = Conversion(3, SIDE, "resize", "white", strict=False)
KINDS = ("overwrite", "end", "cut", "insert", "delete", "flip")


def picture(rng, side=SIDE):
    """Smooth noise: uint8 [side, side, 3]."""
    coarse = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return PIL.Image.fromarray(coarse).resize((side, side), PIL.Image.Resampling.BICUBIC)


def jpeg(rng, image):
    """Encodes a picture as cameras, phones and programs do."""
    buffer = io.BytesIO()
    options = {"quality": int(rng.integers(60, 98)), "subsampling": int(rng.integers(3))}
    options["progressive"] = bool(rng.integers(2))
    options["optimize"] = bool(rng.integers(2))
    if rng.integers(3) == 0:
        options["restart_marker_blocks"] = int(rng.integers(1, 20))
    if rng.integers(5) == 0:
        image = image.convert("L")
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def damage(rng, data, kind):
    """Damages the scans of a JPEG file."""
    start = data.index(b"\xff\xda") + 14
    at = int(rng.integers(start, len(data) - 4))
    size = int(rng.integers(1, max(min(200, len(data) - 2 - at), 2)))
    noise = rng.integers(0, 256, size).astype(np.uint8).tobytes()
    return {
        "overwrite": lambda: data[:at] + noise + data[at + size :],
        "end": lambda: data[:at] + b"\xff\xd9" + data[at + 2 :],
        "cut": lambda: data[:at],
        "insert": lambda: data[:at] + noise + data[at:],
        "delete": lambda: data[:at] + data[at + size :],
        "flip": lambda: data[:at] + bytes([data[at] ^ 1 << rng.integers(8)]) + data[at + 1 :],
    }[kind]()


@dataclasses.dataclass
class Outcome:
    """What became of one damaged file."""

    kind: str
    error: str | None  # the reason for its rejection
    share_off: float  # pixels that differ by more than 40; 0 if it was rejected
    worst: int  # largest difference
    content: bytes


def damaged_jpegs(count, seed, folder):
    """Yields the outcomes of `count` damaged files. No other exception may come up."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        data = jpeg(rng, picture(rng))
        kind = KINDS[number % len(KINDS)]
        broken = damage(rng, data, kind)
        (folder / "whole.jpg").write_bytes(data)
        (folder / "broken.jpg").write_bytes(broken)
        whole = read_picture(str(folder / "whole.jpg"), ANY).astype(int)
        try:
            found = read_picture(str(folder / "broken.jpg"), ANY)
        except (ValueError, OSError) as error:
            yield Outcome(kind, reason(error), 0.0, 0, broken)
        else:
            off = np.abs(found - whole).max(axis=0)
            yield Outcome(kind, None, float((off > 40).mean()), int(off.max()), broken)


def exif_data(rng, orientation):
    """EXIF data with one good orientation among values of any tag, type, number and place."""
    order = "<>"[rng.integers(2)]
    records = []
    for _ in range(int(rng.integers(0, 24))):
        tag = int(rng.choice([0x10F, 0x11A, 0x8769, 0x8825, 0x14A, rng.integers(1 << 16)]))
        if tag != 274:
            kind = int(rng.choice([*range(14), rng.integers(1 << 16)]))
            number = int(rng.choice([0, 1, 2, 4, rng.integers(1 << 32)]))
            value = rng.integers(0, 256, 4).astype(np.uint8).tobytes()
            records.append(struct.pack(order + "HHI", tag, kind, number) + value)
    good = struct.pack(order + "HHIHH", 274, 3, 1, orientation, 0)
    records.insert(int(rng.integers(len(records) + 1)), good)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    more = rng.integers(0, 256, int(rng.integers(4, 99))).astype(np.uint8).tobytes()
    return head + struct.pack(order + "H", len(records)) + b"".join(records) + more


FORMATS = {"JPEG": {"quality": 95}, "PNG": {}, "WEBP": {"lossless": True}, "AVIF": {}}


def with_exif(rng, kind, image, exif):
    """Encodes a picture with EXIF data; AVIF stores the orientation elsewhere, so it has none."""
    buffer = io.BytesIO()
    marker = b"Exif\0\0"
    if kind == "AVIF":
        image.save(buffer, kind, exif=marker + _plain_exif(len(exif)))
        data = buffer.getvalue()
        at = data.index(b"\0\0\0\x06" + marker) + 4 + len(marker)
        return data[:at] + exif + data[at + len(exif) :]
    image.save(buffer, kind, exif=marker + exif, **FORMATS[kind])
    return buffer.getvalue()


def _plain_exif(length):
    """Valid EXIF data of a length, to be overwritten."""
    head = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x10E, 7, length - 26, 26) + bytes(4)
    return head + bytes(length - len(head))


def upright(pixels, orientation):
    """Turns uint8 [C, H, W] as EXIF says, with NumPy alone."""
    turns = {
        1: lambda x: x,
        2: lambda x: x[:, :, ::-1],
        3: lambda x: x[:, ::-1, ::-1],
        4: lambda x: x[:, ::-1],
        5: lambda x: x.transpose(0, 2, 1),
        6: lambda x: np.rot90(x, -1, (1, 2)),
        7: lambda x: np.rot90(x, 2, (1, 2)).transpose(0, 2, 1),
        8: lambda x: np.rot90(x, 1, (1, 2)),
    }
    return turns[orientation](pixels)


def odd_exifs(count, seed, folder, kinds=tuple(FORMATS)):
    """Yields (kind, reason or None, True if the pixels are right) of good files with odd EXIF."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        orientation = int(rng.integers(1, 9))
        image = picture(rng, 16)
        exif = exif_data(rng, orientation)
        buffer = io.BytesIO()
        image.save(buffer, kind, **FORMATS[kind])
        (folder / "plain").write_bytes(buffer.getvalue())
        (folder / "odd").write_bytes(with_exif(rng, kind, image, exif))
        conversion = Conversion(3, 16)  # without any conversion
        plain = read_picture(str(folder / "plain"), conversion)
        try:
            found = read_picture(str(folder / "odd"), conversion)
        except (ValueError, OSError) as error:
            yield kind, reason(error), False
        else:
            expected = upright(plain, 1 if kind == "AVIF" else orientation)
            yield kind, None, bool((found == expected).all())


def main():
    import pathlib
    import tempfile

    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        table = collections.defaultdict(list)
        for outcome in damaged_jpegs(args.count, args.seed, folder):
            table[outcome.kind].append(outcome)
        for kind, outcomes in table.items():
            accepted = [x for x in outcomes if x.error is None]
            different = [x for x in accepted if x.worst]
            far = [x for x in accepted if x.share_off > 0.01]
            print(
                f"JPEG {kind:10} {len(outcomes)} files: {len(outcomes) - len(accepted)} refused, "
                f"{len(accepted) - len(different)} accepted with the same pixels, "
                f"{len(different)} with others, {len(far)} off by over 40 in 1% of pixels"
            )
        counts = collections.Counter()
        for kind, why, is_right in odd_exifs(args.count, args.seed, folder):
            counts[kind, "right" if is_right else why or "wrong pixels"] += 1
        for (kind, what), number in sorted(counts.items()):
            print(f"EXIF {kind:5} {what}: {number}")


if __name__ == "__main__":
    main()

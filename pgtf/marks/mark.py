"""A mark and its two forms: an XMP packet, and one line of text for formats that hold no XMP."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from pgtf.foreign import xmp

# Terms of the IPTC's vocabulary https://cv.iptc.org/newscodes/digitalsourcetype/
_TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = f"{_TERMS}trainedAlgorithmicMedia"
COMPOSITE = f"{_TERMS}compositeWithTrainedAlgorithmicMedia"  # with pixels that no network made

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_OURS = "urn:pgtf:mark:"
_SOURCE_TYPE, _SOFTWARE = f"{{{_IPTC}}}DigitalSourceType", f"{{{_XMP}}}CreatorTool"
_PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{iptc}" xmlns:xmp="{xmp}" xmlns:pgtf="{ours}"
{attributes}/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
MAX_LINE_FACT = 4096  # characters of a fact in the line of text


def software() -> str:
    """Names this program with its version, as marks do."""
    # An import statement would be a circle, because the package names its rooms.
    return f"pgtf {importlib.import_module('pgtf').__version__}"


@dataclasses.dataclass(frozen=True)
class Mark:
    """Statement of a file about its pixels."""

    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)  # {"Seeds": "7"}
    source_type: str = TRAINED
    software: str = dataclasses.field(default_factory=software)

    @property
    def is_generated(self) -> bool:
        """True if the file says that a trained network made its pixels, or some of them."""
        return self.source_type in (TRAINED, COMPOSITE)

    @property
    def packet(self) -> bytes:
        """The XMP packet: the same bytes for the same mark."""
        named = {"Iptc4xmpExt:DigitalSourceType": self.source_type}
        named |= {"xmp:CreatorTool": self.software}
        named |= {f"pgtf:{name}": value for name, value in self.facts.items()}
        attributes = "\n".join(f"{name}={quoteattr(value)}" for name, value in named.items())
        text = _PACKET.format(rdf=_RDF, iptc=_IPTC, xmp=_XMP, ours=_OURS, attributes=attributes)
        return text.encode()

    @property
    def line(self) -> str:
        """The mark as "DigitalSourceType=...; Software=...; Seeds=7", without very long facts."""
        named = {"DigitalSourceType": self.source_type, "Software": self.software}
        named |= {name: x for name, x in self.facts.items() if len(x) <= MAX_LINE_FACT}
        return "; ".join(f"{name}={value}" for name, value in named.items())

    @property
    def sentence(self) -> str:
        """The constant part for people."""
        kind = self.source_type.rpartition("/")[2]
        part = "Partly generated" if self.source_type == COMPOSITE else "Generated"
        return f"{part} by a trained network ({kind}), {self.software}"


def read_mark(path: str | os.PathLike[str]) -> Mark | None:
    """Reads the mark of a picture or film; None if it has none.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is of no format that holds marks, or its mark is damaged.
    """
    packet, line = xmp.find(path)
    if packet is not None:
        return read_packet(packet, str(path))
    return None if line is None else _read_line(line)


def read_packet(packet: bytes, source: str) -> Mark | None:
    """Reads an XMP packet, whoever wrote it; None if it names no source type.

    Raises:
        ValueError: it is no XMP, or declares entities, which XMP does not have.
    """
    if b"<!" in packet:
        raise ValueError(f"{source}: its XMP must not hold declarations (<!...).")
    try:
        root = ElementTree.fromstring(packet.decode())
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{source}: its XMP is damaged: {error}.") from None
    found: dict[str, str] = {}
    for described in root.iter(f"{{{_RDF}}}Description"):  # Others write elements.
        found |= described.attrib
        found |= {child.tag: child.text or "" for child in described}
    if _SOURCE_TYPE not in found:
        return None
    facts = {x.partition("}")[2]: v for x, v in found.items() if x.startswith(f"{{{_OURS}}}")}
    return Mark(facts, found[_SOURCE_TYPE], found.get(_SOFTWARE, "unknown"))


def _read_line(line: str) -> Mark | None:
    """Reads what `Mark.line` returns; None if it is another text."""
    pairs = dict(re.findall(r"(?:^|; )([A-Za-z0-9]+)=([^;]*)", line))
    source_type = pairs.pop("DigitalSourceType", None)
    if source_type is None:
        return None
    return Mark(facts=pairs, software=pairs.pop("Software", "unknown"), source_type=source_type)

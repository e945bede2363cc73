// PNG files of a canvas, with the mark that says that their pixels are generated.

const HEADER_BYTES = 33; // signature and the chunk IHDR

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return (value ^ 0xffffffff) >>> 0;
}

function chunk(packet) {
  const content = new TextEncoder().encode(`iTXtXML:com.adobe.xmp\0\0\0\0\0${packet}`);
  const found = new Uint8Array(content.length + 8);
  const view = new DataView(found.buffer);
  view.setUint32(0, content.length - 4);
  found.set(content, 4);
  view.setUint32(4 + content.length, crc(content));
  return found;
}

export async function markedPng(canvas, packet) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!packet) return blob;
  const parts = [blob.slice(0, HEADER_BYTES), chunk(packet), blob.slice(HEADER_BYTES)];
  return new Blob(parts, { type: "image/png" });
}

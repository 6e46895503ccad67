"""Hostile and odd images, made when asked for: one function for each row of the catalogue.

Rows are named B01 to B20; each function returns files by a name that says what is wrong with them.
Nothing here is a stored file, so that everyone can read how each was made.
"""

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Files = dict[str, bytes]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
WIDTH, HEIGHT = 192, 160


def photo(width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> Pixels:
    """Smooth colours with some grain, uint8 RGB (height, width, 3); no corner like another."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    colours = np.stack([40 + 180 * across, 200 - 150 * down, 60 + 120 * across * down], axis=-1)
    return np.clip(colours + random.normal(0, 4, colours.shape), 0, 255).astype(np.uint8)


def save(image: PIL.Image.Image | Pixels, kind: str, **options: Any) -> bytes:  # noqa: ANN401
    """The file Pillow writes."""
    buffer = io.BytesIO()
    opened = PIL.Image.fromarray(image) if isinstance(image, np.ndarray) else image
    opened.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(pixels: Pixels | None = None, **options: Any) -> bytes:  # noqa: ANN401
    return save(photo() if pixels is None else pixels, "JPEG", **({"quality": 90} | options))


def flat(width: int, height: int, kind: str) -> bytes:
    """One colour, so that even large ones are small files."""
    return save(PIL.Image.new("RGB", (width, height), (90, 120, 150)), kind)


def chunk(kind: bytes, data: bytes, *, length: int | None = None, crc: int | None = None) -> bytes:
    """A PNG chunk, with its length or checksum falsified where given."""
    check = zlib.crc32(kind + data) if crc is None else crc
    size = len(data) if length is None else length
    return struct.pack(">I", size) + kind + data + struct.pack(">I", check)


def header(width: int, height: int, depth: int, colour: int, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(
    rows: bytes, depth: int, colour: int, *before: bytes, sides: tuple[int, int] = (16, 16)
) -> bytes:
    """A PNG of raw scanlines (each with its filter byte), and chunks before them."""
    body = [header(*sides, depth, colour), *before, chunk(b"IDAT", zlib.compress(rows))]
    return PNG_MAGIC + b"".join(body) + chunk(b"IEND", b"")


def unfiltered(rows: NDArray[Any]) -> bytes:
    """Scanlines, big-endian, each after the filter byte 0."""
    big = rows.astype(rows.dtype.newbyteorder(">"))
    return b"".join(b"\0" + row.tobytes() for row in big)


def marker_at(data: bytes, code: int) -> int:
    """Where the first JPEG segment of this marker begins."""
    found = data.find(bytes([0xFF, code]))
    assert found > 0, f"no marker {code:02x}"
    return found


def without_segment(data: bytes, code: int) -> bytes:
    at = marker_at(data, code)
    length = int.from_bytes(data[at + 2 : at + 4])
    return data[:at] + data[at + 2 + length :]


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these RIFF chunks."""
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def b01_empty() -> Files:
    return {"no bytes": b""}


def b02_noise() -> Files:
    random = np.random.default_rng(2)
    return {
        "one byte": b"\xff",
        "four bytes": random.bytes(4),
        "a megabyte": random.bytes(1 << 20),
    }


def b02_magic_alone() -> Files:
    noise = np.random.default_rng(3).bytes(4096)
    magics = {"jpeg": b"\xff\xd8\xff", "png": PNG_MAGIC, "webp": b"RIFF\0\x10\0\0WEBP"}
    tails = {"nothing": b"", "zeros": bytes(4096), "noise": noise}
    return {f"{kind} and {what}": magic + tail
            for kind, magic in magics.items()
            for what, tail in tails.items()}  # fmt: skip


def b03_other_files() -> Files:
    return {
        "text": b"Dear Sir or Madam, please find my photo attached.",
        "html": b"<!doctype html><html><body><img src=x></body></html>",
        "json": b'{"image": "none"}',
        "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "zip": b"PK\x03\x04" + bytes(64),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(64),
    }


def b04_other_formats() -> Files:
    written = ("GIF", "BMP", "TIFF", "ICO", "PCX", "SGI", "TGA", "DDS", "PPM", "EPS", "JPEG2000")
    magics = {
        "PSD": b"8BPS\0\x01",
        "FITS": b"SIMPLE  =                    T",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "HEIC": b"\0\0\0\x18ftypheic",
        "AVIF": b"\0\0\0\x1cftypavif",
        "ICNS": b"icns\0\0\x01\0",
        "WMF": b"\xd7\xcd\xc6\x9a",
        "JPEG XL": b"\xff\x0a",
        "RIFF that is a sound": b"RIFF\x24\0\0\0WAVEfmt ",
    }
    made = {kind: save(PIL.Image.fromarray(photo(32, 32)), kind) for kind in written}
    return made | {kind: magic + bytes(64) for kind, magic in magics.items()}


def b06_polyglots() -> Files:
    """Sound images with something else behind their end."""
    tails = {
        "zip": b"PK\x03\x04" + bytes(30) + b"PK\x05\x06" + bytes(18),
        "html": b"<script>alert(1)</script>",
        "another jpeg": jpeg(photo(seed=9)),
        "100 kB": bytes(100_000),
    }
    whole = {"jpeg": jpeg(), "png": save(photo(), "PNG")}
    return {f"{kind} and {what}": image + tail
            for kind, image in whole.items()
            for what, tail in tails.items()}  # fmt: skip


def b07_truncated(whole: bytes, count: int = 50) -> list[bytes]:
    """The file cut at `count` points between its magic and its last byte."""
    return [whole[:at] for at in np.linspace(12, len(whole) - 1, count).astype(int)]


def b08_holed(whole: bytes) -> Files:
    """A JPEG with its end in place and its middle not."""
    start, end = marker_at(whole, 0xDA) + 14, len(whole) - 2
    third = (end - start) // 3
    before, after = whole[: start + third], whole[start + 2 * third :]
    return {
        "missing middle": before + after,
        "zeroed middle": before + bytes(third) + after,
        "false end": before + b"\xff\xd9" + whole[start + third :],
        "false end alone": before + b"\xff\xd9",
        "no entropy-coded data": whole[:start] + b"\xff\xd9",
    }


def b08_between_scans() -> list[bytes]:
    """A progressive JPEG that ends, well formed, before each of its scans but the first."""
    whole = jpeg(progressive=True)
    starts = [found.start() for found in re.finditer(b"\xff\xda", whole)]
    return [whole[:at] + b"\xff\xd9" for at in starts[1:]]


def b09_broken_jpegs() -> Files:
    whole = jpeg()
    frame = marker_at(whole, 0xC0)
    huffman = marker_at(whole, 0xC4)
    return {
        "no quantisation tables": without_segment(without_segment(whole, 0xDB), 0xDB),
        "wrong Huffman table": patched(whole, huffman + 5, bytes([0, 0, 0, 0, 0, 16])),
        "no frame": without_segment(whole, 0xC0),
        "two frames": whole[:frame] + whole[frame : frame + 19] + whole[frame:],
        "no components": patched(whole, frame + 9, b"\0"),
        "five components": patched(whole, frame + 9, b"\5"),
        "12 bits": patched(whole, frame + 4, b"\x0c"),
        "lossless": patched(whole, frame + 1, b"\xc3"),
        "hierarchical": patched(whole, frame + 1, b"\xc5"),
        "arithmetic by name": patched(whole, frame + 1, b"\xc9"),
        "sampling 0": patched(whole, frame + 11, b"\x00"),
        "scan of no component": patched(whole, marker_at(whole, 0xDA) + 4, b"\0"),
    }


def b10_scans(count: int = 1000) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    whole = jpeg(photo(32, 32), progressive=True)
    last = whole.rfind(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + whole[-2:]


def b11_lying_jpegs() -> Files:
    whole = jpeg()
    frame = marker_at(whole, 0xC0)
    restarts = jpeg(restart_marker_blocks=4)
    restart = marker_at(restarts, 0xD3)
    return {
        "taller than its data": patched(whole, frame + 5, struct.pack(">H", HEIGHT * 4)),
        "wider than its data": patched(whole, frame + 7, struct.pack(">H", WIDTH * 4)),
        "height left to DNL": patched(whole, frame + 5, bytes(2)),
        "restart out of order": patched(restarts, restart + 1, b"\xd6"),
        "restart missing": restarts[:restart] + restarts[restart + 2 :],
    }


def b12_broken_pngs() -> Files:
    whole = save(photo(), "PNG")
    data = whole.find(b"IDAT")
    rows = unfiltered(np.zeros((16, 16), dtype=np.uint8))
    packed = zlib.compress(rows)
    grained = zlib.compress(unfiltered(photo(16, 16)[..., 0]))
    start, end = PNG_MAGIC + header(16, 16, 8, 0), chunk(b"IEND", b"")
    indexes = unfiltered(np.full((16, 16), 200, dtype=np.uint8))
    return {
        "wrong checksum of the header": patched(whole, 29, b"\0\0\0\0"),
        "wrong checksum of the pixels": start + chunk(b"IDAT", packed, crc=1) + end,
        "flipped bit in the pixels": patched(whole, data + 100, bytes([whole[data + 100] ^ 1])),
        "no end": whole[:-12],
        "no pixels": start + end,
        "too few rows": start + chunk(b"IDAT", zlib.compress(rows[:100])) + end,
        "compressed data cut": start + chunk(b"IDAT", grained[:150]) + end,
        "compressed data is noise": start + chunk(b"IDAT", b"\x78\x9c" + b"\xa5" * 40) + end,
        "unknown filter": start + chunk(b"IDAT", zlib.compress(b"\x09" + rows[1:])) + end,
        "negative length": start + chunk(b"IDAT", packed, length=2**32 - 1) + end,
        "a million chunks": start + chunk(b"teXt", b"") * 1_000_000 + end,
        "no header": PNG_MAGIC + chunk(b"IDAT", packed) + end,
        "depth 3": PNG_MAGIC + header(16, 16, 3, 0) + chunk(b"IDAT", packed) + end,
        "colour type 5": PNG_MAGIC + header(16, 16, 8, 5) + chunk(b"IDAT", packed) + end,
        "palette missing": png(indexes, 8, 3),
        "palette index out of range": png(indexes, 8, 3, chunk(b"PLTE", bytes(range(30)))),
        "text that unpacks to 100 MB": png(
            rows, 8, 0, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))
        ),
    }


def b12_odd_pngs() -> Files:
    """Sound PNGs that a careless reader stumbles over."""
    rows = unfiltered(np.full((16, 16), 77, dtype=np.uint8))
    start, end = PNG_MAGIC + header(16, 16, 8, 0), chunk(b"IEND", b"")
    return {
        "interlaced": _interlaced(77),
        "pixels in one-byte chunks": start
        + b"".join(chunk(b"IDAT", bytes([byte])) for byte in zlib.compress(rows))
        + end,
        "more data than pixels": start
        + chunk(b"IDAT", zlib.compress(rows + bytes(50_000_000)))
        + end,
        "unknown chunk": png(rows, 8, 0, chunk(b"quIz", b"what")),
        "wrong gamma": png(rows, 8, 0, chunk(b"gAMA", bytes(4))),
    }


def _interlaced(value: int) -> bytes:
    """16×16 grey of one value in Adam7's seven passes."""
    passes = [(2, 2), (2, 2), (4, 2), (4, 4), (8, 4), (8, 8), (16, 8)]
    rows = b"".join((b"\0" + bytes([value]) * width) * height for width, height in passes)
    body = header(16, 16, 8, 0, interlace=1) + chunk(b"IDAT", zlib.compress(rows))
    return PNG_MAGIC + body + chunk(b"IEND", b"")


def b14_animations() -> Files:
    """Animated files whose first frame is `photo()`, in the lossless ones exactly."""
    first, second = (PIL.Image.fromarray(photo(seed=seed)) for seed in (0, 1))
    more = {"save_all": True, "append_images": [second]}
    return {
        "APNG": save(first, "PNG", **more),
        "animated WebP": save(first, "WEBP", lossless=True, **more),
        "MPO": save(first, "MPO", quality=90, **more),
    }


def b15_webp_bombs() -> Files:
    """Headers that promise 16 383 × 16 383 pixels."""
    side = 16_383
    lossless = (
        b"\x2f" + struct.pack("<I", (side - 1) | (side - 1) << 14) + b"\x88\x88\x08" + bytes(5)
    )
    whole = save(photo(), "WEBP", quality=80)
    lossy = patched(whole, whole.find(b"\x9d\x01\x2a") + 3, struct.pack("<HH", side, side))
    canvas = bytes(4) + (side - 1).to_bytes(3, "little") * 2
    return {
        "lossless": riff((b"VP8L", lossless)),
        "lossy": lossy,
        "canvas": riff((b"VP8X", canvas), (b"VP8 ", whole[20:])),
    }


def b15_broken_webps() -> Files:
    lossy = save(photo(), "WEBP", quality=80)
    lossless = save(photo(), "WEBP", lossless=True)
    small = bytes(4) + (31).to_bytes(3, "little") * 2
    return {
        "canvas smaller than the picture": riff((b"VP8X", small), (b"VP8 ", lossy[20:])),
        "half a lossy one": lossy[: len(lossy) // 2],
        "half a lossless one": lossless[: len(lossless) // 2],
        "half, with the length made to fit": riff((b"VP8L", lossless[20 : len(lossless) // 2])),
        "no picture": riff((b"VP8X", small)),
        "length of nothing": patched(lossy, 4, bytes(4)),
        "last byte missing": lossless[:-2],
    }


def b16_sides() -> Files:
    kinds = ("JPEG", "PNG", "WEBP")
    sides = ((1, 1), (2, 2), (1, 500), (500, 1), (400, 16))
    return {f"{w}×{h} {kind}": flat(w, h, kind) for w, h in sides for kind in kinds} | {
        "40 000 000×1 PNG": PNG_MAGIC + header(40_000_000, 1, 8, 0) + chunk(b"IDAT", b"")
        + chunk(b"IEND", b""),
        "0×0 PNG": PNG_MAGIC + header(0, 0, 8, 0) + chunk(b"IEND", b""),
    }  # fmt: skip


def exif(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    """A TIFF header with one directory that holds the orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + "HHIHH", 0x0112, kind, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + value + bytes(4)


def with_exif(whole: bytes, tiff: bytes) -> bytes:
    """The JPEG with this EXIF block as its first segment."""
    body = b"Exif\0\0" + tiff
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:]


def b18_broken_exif() -> Files:
    """EXIF blocks that say nothing that can be believed; the photo itself is sound."""
    good = exif(6)
    loop = b"II*\0" + struct.pack("<IH", 8, 1)
    pointer = loop + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    blocks = {
        "orientation 0": exif(0),
        "orientation 9": exif(9),
        "orientation 65535": exif(65_535),
        "orientation as text": exif(0x3636, kind=2),
        "truncated": good[:14],
        "directory loop": pointer,
        "directory beyond the end": patched(good, 4, struct.pack("<I", 1 << 30)),
        "65 535 entries": patched(exif(1), 8, b"\xff\xff"),
        "wrong byte order mark": patched(good, 0, b"XX"),
        "nothing": b"",
        "rational of no bytes": exif(6, kind=5),
    }
    return {name: with_exif(jpeg(), block) for name, block in blocks.items()}


def b19_colour_profiles() -> Files:
    blocks = {"huge": bytes(2_000_000), "corrupt": b"\xff" * 500, "CMYK": b"\0" * 16 + b"CMYK" * 30}
    return {f"{what} {kind}": save(photo(), kind, icc_profile=block, **options)
            for what, block in blocks.items()
            for kind, options in _EXACT.items()}  # fmt: skip


_EXACT: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True}}


def b20_personal_exif(secret: str) -> bytes:
    """A photo that names its owner and where it was taken."""
    tags = PIL.Image.Exif()
    tags[0x013B], tags[0x8298] = secret, secret
    tags.get_ifd(0x8825)[1] = secret
    return jpeg(exif=tags)

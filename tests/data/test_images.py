import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from wrp_jax.data import images
from wrp_jax.types import UserError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (17, 31, 3), np.uint8)


def _encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png16(height: int, width: int) -> bytes:
    """A 16-bit RGB PNG, which Pillow cannot write and reads as 8-bit."""
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(6 * width) for _ in range(height))
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _tiff16(height: int, width: int) -> bytes:
    """A 16-bit RGB TIFF, which Pillow cannot write and reads as 8-bit."""
    pixels = 6 * height * width
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, 8 + pixels),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, pixels),
    ]
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = struct.pack("<2sHI", b"II", 42, 14 + pixels)
    bits = struct.pack("<HHH", 16, 16, 16)
    return start + bytes(pixels) + bits + struct.pack("<H", len(entries)) + tags + bytes(4)


PNG = _encode(Image.fromarray(RGB))
JPEG = _encode(Image.fromarray(RGB), "JPEG", quality=95)


def test_rgb_png_is_read_as_it_is():
    assert (images.decode_frame(PNG, "x") == RGB).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_frames_of_any_8_bit_mode_become_rgb(mode):
    image = Image.fromarray(RGB).convert(mode)
    frame = images.decode_frame(_encode(image, "TIFF" if mode == "CMYK" else "PNG"), "x")
    assert frame.shape == RGB.shape and frame.dtype == np.uint8
    if mode in ("L", "P", "1", "RGBA"):
        assert (frame == np.asarray(image.convert("RGB"))).all()


def test_palette_with_transparency_is_no_trouble():
    image = Image.fromarray(RGB).convert("P")
    data = _encode(image, transparency=bytes(range(256)))
    assert (images.decode_frame(data, "x") == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _encode(Image.fromarray(RGB), kind, exif=exif)
    frame = images.decode_frame(data, "x")
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert (frame == expected).all()
    assert images.frame_size(data, "x") == frame.shape[:2]
    assert frame.shape[:2] == ((17, 31) if orientation < 5 else (31, 17))
    stored = images.plain_bytes(data, "x")
    assert (images.decode_frame(stored, "x") == frame).all()
    assert (stored == data) == (orientation == 1)


def test_plain_files_are_stored_as_they_are_and_others_as_png():
    assert images.plain_bytes(JPEG, "x") == JPEG
    grey = _encode(Image.fromarray(RGB[..., 0]))
    stored = images.plain_bytes(grey, "x")
    assert Image.open(io.BytesIO(stored)).mode == "RGB"
    assert (images.decode_frame(stored, "x") == RGB[..., :1]).all()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "0 bytes"),
        (b"hello, world", "not a picture"),
        (PNG[: len(PNG) // 2], "damaged or cut off"),
        (JPEG[: len(JPEG) // 2], "damaged or cut off"),
        (PNG[:200] + bytes([PNG[200] ^ 255]) + PNG[201:], "damaged or cut off"),
        (_png16(3, 4), "more than 8 bits"),
        (_encode(Image.fromarray(np.zeros((3, 4), np.uint16))), "more than 8 bits"),
        (_tiff16(3, 4), "more than 8 bits"),
        (b"P6 4 3 65535\n" + bytes(72), "more than 8 bits"),
    ],
    ids=[
        "empty",
        "text",
        "cut png",
        "cut jpeg",
        "bit flip",
        "16-bit rgb",
        "16-bit grey",
        "16-bit tiff",
        "16-bit ppm",
    ],
)
def test_broken_frames_are_refused_by_name(data, said):
    with pytest.raises(UserError, match=r"dir/x\.png") as error:
        images.decode_frame(data, "dir/x.png")
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("data", [PNG, JPEG], ids=["png", "jpeg"])
def test_frame_size_finds_cut_files_without_decoding(tmp_path: Path, data, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with monkeypatch.context() as patch:
        patch.setattr(images, "_load", lambda *_: pytest.fail("decoded"))
        assert images.frame_size(path, path) == (17, 31)
    path.write_bytes(data[:-100])
    with pytest.raises(UserError, match="cut off"):
        images.frame_size(path, path)
    path.write_bytes(data + b"junk behind the picture")
    assert images.frame_size(path, path) == (17, 31)
    with pytest.raises(UserError, match="cannot be read"):
        images.frame_size(tmp_path / "none.png", "none.png")


def test_too_many_pixels_are_refused_from_the_header():
    with pytest.raises(UserError, match="31x17"):
        images.decode_frame(PNG, "x", max_pixels=500)
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"")
    with pytest.raises(UserError, match="too large"):
        images.decode_label(bomb, "x")
    with pytest.raises(UserError, match="too large"):
        images.frame_size(bomb, "x")


def test_labels_are_decoded_as_they_are():
    ids = RNG.integers(0, 256, (5, 6)).astype(np.uint8)
    colors = RNG.integers(0, 256, (256, 3), np.uint8)
    assert (images.decode_label(images.encode_png(ids), "x") == ids).all()
    palette = images.encode_png(ids, colors)
    assert (images.decode_label(palette, "x") == ids).all()
    assert (np.asarray(Image.open(io.BytesIO(palette)).convert("RGB")) == colors[ids]).all()
    deep = ids.astype(np.uint16) * 200
    assert (images.decode_label(_encode(Image.fromarray(deep)), "x") == deep).all()
    assert images.decode_label(_encode(Image.fromarray(ids > 9)), "x").dtype == bool
    assert images.decode_label(PNG, "x").shape == RGB.shape


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([PNG, JPEG]), st.data())
def test_damaged_bytes_give_a_picture_or_a_user_error(data, draw):
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    damaged = bytes(damaged[: draw.draw(st.integers(0, len(damaged)))])
    for decode in (images.decode_frame, images.decode_label, images.frame_size):
        try:
            decode(damaged, "x")
        except UserError as error:
            assert str(error).startswith("x ")

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_kinds import bmp, chunk, encode, png
from PIL import Image, ImageOps

from wrp_jax.data import images
from wrp_jax.types import UserError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (17, 31, 3), np.uint8)


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


PNG = encode(Image.fromarray(RGB))
JPEG = encode(Image.fromarray(RGB), "JPEG", quality=95)


def test_rgb_png_is_read_as_it_is():
    assert (images.decode_frame(PNG, "x") == RGB).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_frames_of_any_8_bit_mode_become_rgb(mode):
    image = Image.fromarray(RGB).convert(mode)
    frame = images.decode_frame(encode(image, "TIFF" if mode == "CMYK" else "PNG"), "x")
    assert frame.shape == RGB.shape and frame.dtype == np.uint8
    if mode in ("L", "P", "1", "RGBA"):
        assert (frame == np.asarray(image.convert("RGB"))).all()


def test_palette_with_transparency_is_no_trouble():
    image = Image.fromarray(RGB).convert("P")
    data = encode(image, transparency=bytes(range(256)))
    assert (images.decode_frame(data, "x") == np.asarray(image.convert("RGB"))).all()


TURNS = [
    ("JPEG", lambda o: encode(Image.fromarray(RGB), "JPEG", exif=_exif(o))),
    ("PNG", lambda o: encode(Image.fromarray(RGB), "PNG", exif=_exif(o))),
    ("PNG, EXIF at the end", lambda o: png(RGB, 8, 2, behind=_late_exif(o))),
    ("PNG, XMP", lambda o: png(RGB, 8, 2, before=chunk(b"iTXt", _XMP_HEAD + _xmp(o)))),
    ("JPEG, XMP", lambda o: encode(Image.fromarray(RGB), "JPEG", xmp=_xmp(o))),
    ("WEBP", lambda o: encode(Image.fromarray(RGB), "WEBP", lossless=True, exif=_exif(o))),
    ("TIFF", lambda o: encode(Image.fromarray(RGB), "TIFF", tiffinfo={0x0112: o})),
    (
        "deflated TIFF",
        lambda o: encode(
            Image.fromarray(RGB), "TIFF", tiffinfo={0x0112: o}, compression="tiff_adobe_deflate"
        ),
    ),
]


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _late_exif(orientation: int) -> bytes:
    return chunk(b"eXIf", _exif(orientation).tobytes()[6:])


_XMP_HEAD = b"XML:com.adobe.xmp\0\0\0\0\0"


def _xmp(orientation: int) -> bytes:
    return b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % orientation


@pytest.mark.parametrize(("kind", "make"), TURNS, ids=[kind for kind, _ in TURNS])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_is_turned_once_frames_and_labels_alike(kind, make, orientation):
    data = make(orientation)
    upright = np.asarray(Image.open(io.BytesIO(make(1))).convert("RGB"))
    expected = {  # of EXIF 2.3, what row 0 and column 0 of the stored picture are
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright[::-1].swapaxes(0, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: upright[:, ::-1].swapaxes(0, 1),
    }[orientation]
    assert (images.decode_frame(data, "x") == expected).all()
    assert images.frame_size(data, "x") == expected.shape[:2]
    assert (images.decode_frame(images.plain_bytes(data, "x"), "x") == expected).all()
    if "JPEG" not in kind:
        assert (images.decode_label(data, "x").pixels == expected).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation, kind):
    data = encode(Image.fromarray(RGB), kind, exif=_exif(orientation))
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
    grey = encode(Image.fromarray(RGB[..., 0]))
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
        (png(np.zeros((3, 4, 3), int), 16, 2), "more than 8 bits"),
        (encode(Image.fromarray(np.zeros((3, 4), np.uint16))), "more than 8 bits"),
        (_tiff16(3, 4), "more than 8 bits"),
        (b"P6 4 3 65535\n" + bytes(72), "more than 8 bits"),
        (b"P3 1 1 65535\n0 0 9\n", "more than 8 bits"),
        (b"P5 2 1 1000\n" + bytes(4), "more than 8 bits"),
        (PNG[:-12], "its end is missing"),
        (b"P6 1 1 20\n\0\0\x63", "samples above 20"),
        (bmp(np.zeros((3, 4), int), 4, [(i, i, i) for i in range(16)]), "bitmap of few greys"),
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
        "16-bit plain ppm",
        "pgm of 1000 levels",
        "png without end",
        "ppm above its largest",
        "bmp of few greys",
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
        patch.setattr(images, "_decode", lambda *_: pytest.fail("decoded"))
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
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    with pytest.raises(UserError, match="too large"):
        images.decode_label(bomb, "x")
    with pytest.raises(UserError, match="too large"):
        images.frame_size(bomb, "x")


def test_labels_are_decoded_as_they_are():
    ids = RNG.integers(0, 256, (5, 6)).astype(np.uint8)
    colors = RNG.integers(0, 256, (256, 3), np.uint8)
    grey = images.decode_label(images.encode_png(ids), "x")
    assert (grey.pixels == ids).all() and grey.palette is None and grey.largest == 255
    palette = images.encode_png(ids, colors)
    indexed = images.decode_label(palette, "x")
    assert (indexed.pixels == ids).all() and (indexed.palette == colors).all()
    assert (np.asarray(Image.open(io.BytesIO(palette)).convert("RGB")) == colors[ids]).all()
    deep = ids.astype(np.uint16) * 200
    assert (images.decode_label(encode(Image.fromarray(deep)), "x").pixels == deep).all()
    assert images.decode_label(encode(Image.fromarray(ids > 9)), "x").pixels.dtype == bool
    assert images.decode_label(PNG, "x").pixels.shape == RGB.shape


@pytest.mark.parametrize("seed", range(6))
def test_no_flipped_bit_of_a_png_becomes_another_picture(seed):
    """Every bit in turn, of small files of all kinds: refused, or the same (never happens)."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.repeat(rng.integers(0, 12, (2, 3)), 3, 0), 4, 1).astype(np.uint8)
    image = Image.fromarray(ids)
    if seed % 2:
        image.putpalette(rng.integers(0, 256, 36).tolist())
    data = encode(image)
    before = images.decode_label(data, "x").pixels
    read = 0
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        for decode in (images.decode_label, images.decode_frame, images.frame_size):
            try:
                decode(bytes(flipped), "x")
                read += 1
            except UserError as error:
                assert "x is damaged or" in str(error) or "x is not a picture" in str(error)
    assert read == 0 and (before == ids).all()


def test_a_grey_png_without_pixels_is_damaged():
    header = struct.pack(">IIBBBBB", 4, 3, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")
    for decode in (images.decode_label, images.decode_frame):
        with pytest.raises(UserError, match="x is damaged or"):
            decode(data, "x")


def test_flipped_bits_of_a_deflated_tiff_are_told():
    ids = np.repeat(RNG.integers(0, 12, (20, 3)), 9, 1).astype(np.uint8)
    data = encode(Image.fromarray(ids), "TIFF", compression="tiff_adobe_deflate")
    tags = Image.open(io.BytesIO(data)).tag_v2
    start, length = tags[273][0], tags[279][0]
    for bit in range(8 * start, 8 * (start + length)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert (images.decode_label(bytes(flipped), "x").pixels == ids).all()
        except UserError as error:
            assert "damaged" in str(error)


def test_frames_of_several_pictures_are_told_once(caplog, monkeypatch):
    monkeypatch.setattr(images, "_warned", set())
    pages = [Image.fromarray(255 - RGB)]
    film = encode(Image.fromarray(RGB), "TIFF", save_all=True, append_images=pages)
    for _ in range(2):
        assert (images.decode_frame(film, "film.tif") == RGB).all()
    assert caplog.text.count("film.tif holds several pictures") == 1
    # A phone's JPEG with a preview behind it is one picture.
    phone = encode(Image.fromarray(RGB), "MPO", save_all=True, append_images=pages)
    assert images.decode_frame(phone, "x").shape == RGB.shape
    assert len(caplog.records) == 1


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

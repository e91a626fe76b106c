import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_kinds import bmp, chunk, encode, png, tiff
from PIL import Image

from wrp_jax.data import images, label_maps
from wrp_jax.data.label_pictures import grey_levels, ids_of, read_label
from wrp_jax.types import UserError

ENTRIES = [  # CamVid's, as in practice: black is void
    ("sky", [128, 128, 128]), ("building", [128, 0, 0]), ("pole", [192, 192, 128]),
    ("road", [128, 64, 128]), ("sidewalk", [0, 0, 192]), ("tree", [128, 128, 0]),
    ("sign", [192, 128, 128]), ("fence", [64, 64, 128]), ("car", [64, 0, 128]),
    ("pedestrian", [64, 64, 0]), ("bicyclist", [0, 128, 192]), ("void", [0, 0, 0]),
]  # fmt: skip
CLASSES = label_maps.parse_classes(
    {"classes": [{"id": i, "name": n, "color": c} for i, (n, c) in enumerate(ENTRIES)]}, "f"
)
COLORS = np.array([color for _, color in ENTRIES], np.uint8)
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 12, (17, 31)).astype(np.uint8)


def _indexed(indices, palette, kind="PNG", **options) -> bytes:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette(np.asarray(palette, np.uint8).tobytes())
    return encode(image, kind, **options)


def _read(data):
    return read_label(data, CLASSES, "x.png")


def _refused(data, *said):
    with pytest.raises(UserError, match=r"^x\.png") as error:
        _read(data)
    for text in said:
        assert text in str(error.value)
    assert "\n" not in str(error.value)


# --- palettes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
@given(st.permutations(range(12)))
def test_entries_in_another_order_are_refused_whatever_the_order(kind, order):
    data = _indexed(np.argsort(order)[IDS], COLORS[order], kind)
    if order == list(range(12)):
        assert (_read(data) == IDS).all()
    else:
        _refused(data, "another order", "has the colour of")


@pytest.mark.parametrize("method", Image.Quantize.__members__.values())
def test_labels_whose_colours_were_counted_anew(method):
    if method == Image.Quantize.LIBIMAGEQUANT:
        pytest.skip("not part of Pillow's wheels")
    for used in ([3], [0, 3], [11, 3], list(range(12))):
        image = Image.fromarray(COLORS[RNG.permutation(used * 20).reshape(4, -1)])
        quantised = image.quantize(256, method, dither=Image.Dither.NONE)
        found = np.asarray(quantised.convert("RGB"))
        if (found == np.asarray(image)).all():
            _refused(encode(quantised))


def test_the_places_are_named():
    palette = COLORS.copy()
    palette[[0, 3]] = palette[[3, 0]]
    _refused(_indexed(IDS, palette), "entry 0 has the colour of 'road', 3 has the colour of 'sky'")
    # Where those two are not seen, nothing is wrong.
    others = np.where(np.isin(IDS, (0, 3)), 1, IDS)
    assert (_read(_indexed(others, palette)) == others).all()


def test_web_colours_and_padding():
    entries = [{"id": i, "name": f"c{i}", "color": [i, i, 7]} for i in range(2, 230)]
    entries += [{"id": 0, "name": "a", "color": [255, 0, 0]}]
    entries += [{"id": 1, "name": "b", "color": [0, 255, 0]}]
    many = label_maps.parse_classes({"classes": entries}, "f")
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)).convert("P")
    with pytest.raises(UserError, match="another order"):
        read_label(encode(image), many, "x")
    padded = np.zeros((256, 3), np.uint8)
    padded[:2] = COLORS[[3, 4]]
    _refused(_indexed(IDS % 2, padded), "another order")


def test_blends_along_borders_do_not_hide_the_order():
    blends = [[i, 200, 9] for i in range(9)]
    palette = np.array([COLORS[3], COLORS[4], COLORS[8], *blends], np.uint8)
    ids = np.zeros((30, 30), np.uint8)
    ids[:, 10:20], ids[:, 20:] = 1, 2
    ids[:9, 0] = range(3, 12)
    _refused(_indexed(ids, palette), "entry 0 has the colour of 'road'")


VOC = label_maps.default_palette()
CITYSCAPES = [
    [128, 64, 128], [244, 35, 232], [70, 70, 70], [102, 102, 156], [190, 153, 153], [153, 153, 153],
    [250, 170, 30], [220, 220, 0], [107, 142, 35], [152, 251, 152], [70, 130, 180], [220, 20, 60],
]  # fmt: skip
GREY = np.repeat(np.arange(256)[:, None], 3, 1)
FOREIGN = {
    "VOC": VOC,
    "cut VOC": VOC[:12],
    "Cityscapes": CITYSCAPES,
    "grey": GREY,
    "cut grey": GREY[:12],
    "black": np.zeros((256, 3)),
    "black first": np.concatenate([np.zeros((1, 3)), RNG.integers(0, 256, (255, 3))]),
    "own, written here": label_maps.palette(CLASSES),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_foreign_palettes_over_plain_ids_pass(name, kind):
    for count in (1, 2, 3, 12):
        for used in itertools.islice(itertools.combinations(range(12), count), 0, None, 7):
            ids = np.array(used, np.uint8)[IDS % count]
            assert (_read(_indexed(ids, FOREIGN[name], kind)) == ids).all(), used


def test_a_palette_of_one_colour_says_nothing():
    assert (_read(_indexed(IDS, np.tile(COLORS[3], (256, 1)))) == IDS).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_random_palettes_pass(seed, count):
    rng = np.random.default_rng(seed)
    ids = rng.choice(rng.permutation(12)[:count], (3, 5)).astype(np.uint8)
    assert (_read(_indexed(ids, rng.integers(0, 256, (256, 3)))) == ids).all()


def test_what_is_written_here_is_read_whatever_the_colours():
    white = label_maps.parse_classes(
        {"classes": [{"id": 3, "name": "a", "color": [255] * 3}, {"id": 7, "name": "b"}]}, "f"
    )
    ids = np.array([[3, 7, 255]], np.uint8)
    picture = images.decode_label(images.encode_png(ids, label_maps.palette(white)), "x")
    assert (ids_of(picture, white, "x", {3: 0, 7: 1, 255: -1}) == ids).all()
    palette = np.tile([[255, 255, 255]], (256, 1))
    palette[:8] = [[i, 1, 2] for i in range(8)]
    unknown = images.decode_label(_indexed(np.full((2, 2), 255), palette), "x")
    with_red = dataclasses.replace(white, colors=np.array([[255] * 3, [0, 1, 2]], np.uint8))
    assert (ids_of(unknown, with_red, "x", {3: 0, 7: 1, 255: -1}) == 255).all()


# --- colours -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), [
    ("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("PPM", {}),
    ("WEBP", {"lossless": True}),
])  # fmt: skip
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_of_classes_are_read(kind, options, mode):
    if (kind, mode) == ("PPM", "RGBA"):
        mode = "RGB"
    data = encode(Image.fromarray(COLORS[IDS]).convert(mode), kind, **options)
    indices = _read(data)
    assert (indices == IDS).all() and indices.dtype == np.int32


def test_ids_of_colours_are_those_of_the_class_map():
    classes = label_maps.parse_classes(
        {"classes": [{"id": 200, "name": "a"}, {"id": 7, "name": "b"}]}, "f"
    )
    data = encode(VOC[np.array([[7, 200, 7]])])
    assert read_label(data, classes, "x").tolist() == [[1, 0, 1]]


def test_unknown_colours_are_named_with_their_place():
    colors = COLORS[IDS]
    colors[2, 3], colors[9, 1] = [128, 64, 127], [1, 2, 3]
    _refused(encode(colors), "colour [128, 64, 127] at row 2, column 3", "2 pixels", "none of")


def test_a_colour_of_two_classes_is_refused():
    entries = [{"id": i, "name": n, "color": [9, 9, 9]} for i, n in enumerate("ab")]
    classes = label_maps.parse_classes({"classes": entries}, "f")
    with pytest.raises(UserError, match=r"colour \[9, 9, 9\] is that of 'a' and of 'b'"):
        read_label(encode(np.full((2, 2, 3), 9, np.uint8)), classes, "x")


def test_pixels_that_are_not_opaque():
    colors = np.concatenate([COLORS[IDS], np.full((17, 31, 1), 255, np.uint8)], -1)
    colors[4, 5, 3] = 0
    _refused(encode(colors), "1 pixels that are not opaque", "row 4, column 5")


def test_ids_in_three_equal_channels():
    grey = np.repeat(IDS[..., None], 3, -1)
    _refused(encode(grey), "save one of them")
    _refused(encode(np.zeros((2, 2, 3), np.uint8)), "both ids and colours")  # sky, or void
    opaque = Image.fromarray(IDS).convert("LA")
    assert (_read(encode(opaque)) == IDS).all()


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_other_kinds_of_colours_are_refused(mode):
    image = Image.fromarray(RNG.integers(0, 256, (3, 4, len(mode.upper().replace("YCBCR", "YCB"))),
                                         np.uint8), mode)  # fmt: skip
    _refused(encode(image, "TIFF"), mode)


# --- samples -------------------------------------------------------------------------------------

FEW = np.array([[0, 1, 2, 3, 3, 2]])


@pytest.mark.parametrize(
    "data",
    [png(FEW, 2), png(FEW, 4), png(FEW, 8), png(FEW, 16), tiff(FEW, 2), tiff(FEW, 4), tiff(FEW, 8),
     tiff(FEW, 16), b"P5 6 1 20\n\0\1\2\3\3\2", b"P5 6 1 255\n\0\1\2\3\3\2",
     b"P2 6 1 20\n0 1 2 3 3 2\n", b"P2 6 1 300\n0 1 2 3 3 2\n",
     b"P5 6 1 300\n" + FEW.astype(">u2").tobytes(),
     b"P5 6 1 65535\n" + FEW.astype(">u2").tobytes(),
     bmp(FEW, 8, [(i, i, i) for i in range(4)]), bmp(FEW, 4, [(i, 9, i) for i in range(16)]),
     png(FEW, 4, 3, chunk(b"PLTE", bytes(range(48)))),
     png(FEW, 2, 3, chunk(b"PLTE", bytes(range(100, 112))) + chunk(b"tRNS", bytes(4)))],
    ids=lambda data: repr(data[:12]),
)  # fmt: skip
def test_samples_of_any_depth_are_read_as_they_are(data):
    assert (_read(data) == FEW).all()


@given(st.integers(4, 65534), st.data())
def test_every_sample_of_a_pgm_comes_back(largest, draw):
    values = draw.draw(st.lists(st.integers(0, largest), min_size=1, max_size=9))
    head = f"{len(values)} 1 {largest}\n"
    plain = f"P2 {head}{' '.join(map(str, values))}\n".encode()
    binary = f"P5 {head}".encode() + np.array(values, ">u1" if largest < 256 else ">u2").tobytes()
    for data in (plain, binary):
        assert images.decode_label(data, "x").pixels.tolist() == [values]


def test_samples_that_can_be_read_in_two_ways_are_refused():
    many = label_maps.parse_classes(
        {"classes": [{"id": i, "name": f"c{i}"} for i in range(35)]}, "f"
    )
    with pytest.raises(UserError, match="1 can mean the id 1 or the grey 17"):
        read_label(png(np.array([[0, 1, 2]]), 4), many, "x")
    assert read_label(png(np.array([[0, 3]]), 4), many, "x").tolist() == [[0, 3]]  # 51 is no id


REFUSED = {
    "white is zero": (tiff(FEW, 8, 0), "samples that cannot be read as ids"),
    "white is zero, 4 bits": (tiff(FEW, 4, 0), "samples that cannot be read as ids"),
    "white is zero, 16 bits": (tiff(FEW, 16, 0), "samples that cannot be read as ids"),
    "1 bit": (png(FEW % 2, 1), "1-bit mask"),
    "1-bit TIFF": (tiff(FEW % 2, 1), "1-bit mask"),
    "greys in 4 bits of BMP": (bmp(FEW, 4, [(i, i, i) for i in range(16)]), "bitmap of few greys"),
    "black and white in 8 bits of BMP": (
        bmp(FEW % 2, 8, [(0, 0, 0), (255, 255, 255)]), "bitmap of few greys",
    ),
    "16-bit RGB": (png(np.zeros((2, 2, 3), int), 16, 2), "cannot be read as ids"),
    "16-bit grey and alpha": (png(np.zeros((2, 2, 2), int), 16, 4), "cannot be read as ids"),
    "PPM of few levels": (b"P6 1 1 20\n\0\2\3", "cannot be read as ids"),
    "PGM above its largest": (b"P5 3 1 20\n\0\2\x63", "samples above 20"),
    "JPEG": (encode(IDS, "JPEG", quality=95), "JPEG data"),
    "colours in JPEG": (encode(COLORS[IDS], "JPEG", quality=95), "JPEG data"),
    "lossy WebP": (encode(COLORS[IDS], "WEBP", quality=95), "WEBP data"),
    "JPEG in TIFF": (encode(COLORS[IDS], "TIFF", compression="jpeg"), "TIFF data"),
    "JPEG of two pictures": (
        encode(COLORS[IDS], "MPO", save_all=True, append_images=[Image.fromarray(COLORS[IDS])]),
        "JPEG data",
    ),
    "pages": (
        encode(IDS, "TIFF", save_all=True, append_images=[Image.fromarray(IDS)]),
        "several pictures",
    ),
    "animated PNG": (
        encode(IDS, "PNG", save_all=True, append_images=[Image.fromarray(11 - IDS)]),
        "several pictures",
    ),
    "animated lossy WebP": (
        encode(COLORS[IDS], "WEBP", quality=90, save_all=True,
               append_images=[Image.fromarray(COLORS[11 - IDS])]),
        "WEBP data",
    ),
    "floating point": (encode(FEW.astype(np.float32), "TIFF"), "float32"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_a_label_is_refused_by_its_content(kind):
    data, said = REFUSED[kind]
    _refused(data, said)


def test_confidence_is_brightness_in_whatever_file():
    grey = np.array([[0, 17, 255, 34]], np.uint8)
    few = png(grey // 17, 4)
    indexed = _indexed(np.array([[2, 1, 0, 3]]), [[255] * 3, [17] * 3, [0] * 3, [34] * 3])
    for data in (encode(grey), few, indexed):
        assert (grey_levels(images.decode_label(data, "x"), "x") == grey).all()
    for data in (encode(COLORS[IDS]), _indexed(IDS, COLORS), encode(grey.astype(np.uint16))):
        with pytest.raises(UserError, match="8-bit grey"):
            grey_levels(images.decode_label(data, "x"), "x")

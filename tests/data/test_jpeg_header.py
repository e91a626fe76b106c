"""Sizes of JPEG files from their first bytes: Pillow's, or left to Pillow."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wrp_jax.data.images import frame_size
from wrp_jax.data.jpeg_header import HEAD_BYTES, plain_size
from wrp_jax.types import UserError


def jpeg(height=13, width=21, mode="RGB", **options):
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(exif=exif)


def turned_late():
    """The segment that says so stands behind the size, as standards allow."""
    data = turned()
    start = data.index(b"Exif") - 4
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    exif, rest = data[start:end], data[:start] + data[end:]
    at = rest.index(b"\xff\xda")
    return rest[:at] + exif + rest[at:]


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"x"}, {"dpi": (9, 9)}])
def test_plain_files(mode, options):
    data = jpeg(mode=mode, **options)
    assert plain_size(data) == frame_size(data, "it") == (13, 21)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (turned(), (21, 13)),
        (turned_late(), (21, 13)),
        (jpeg(mode="CMYK"), (13, 21)),
        (jpeg(icc_profile=b"x" * 99), (13, 21)),
    ],
    ids=["turned", "turned behind its size", "four components", "profile"],
)
def test_what_is_not_plain_is_left_to_pillow(data, size):
    assert plain_size(data) is None and frame_size(data, "it") == size


def test_a_cut_or_large_file_is_still_refused():
    data = jpeg()
    with pytest.raises(UserError):
        frame_size(data[:-9], "it")
    with pytest.raises(UserError, match="too large"):
        frame_size(data, "it", max_pixels=100)


@given(st.binary(max_size=40), st.integers(0, 700), st.integers(0, 255))
def test_no_bytes_lead_astray(tail, at, value):
    changed = bytearray(jpeg(progressive=True)[: at % 700] + tail)
    if changed:
        changed[at % len(changed)] = value
    found = plain_size(bytes(changed[:HEAD_BYTES]))
    assert found is None or min(found) > 0


def test_where_it_answers_pillow_agrees():
    rng, data, answered = np.random.default_rng(0), jpeg(), 0
    for at in rng.permutation(min(len(data), 640))[:300]:
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(8))
        found = plain_size(bytes(changed))
        if found is None:
            continue
        try:
            width, height = Image.open(io.BytesIO(bytes(changed))).size
        except OSError:  # tables that Pillow looks at: what decodes the frame refuses them
            continue
        answered += 1
        assert found == (height, width)
    assert answered > 100

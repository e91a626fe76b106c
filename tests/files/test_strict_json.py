"""JSON: a value, or one sentence."""

from __future__ import annotations

import json

import pytest
from hostile import bounded, in_a_program, mutations

from wrp_jax.data.label_maps import read_classes
from wrp_jax.files.strict_json import MAX_BYTES, parse_json, read_json
from wrp_jax.types import UserError


def test_what_json_can_say_is_read():
    value = {"a": [1, 2.5, None, True, "ü"], "b": {"a": -3}}
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(b"\xef\xbb\xbf[1e3]") == [1000.0]


BAD = {
    "deep": (b"[" * 10**6, "nested too deeply"),
    "deep objects": (b'{"a":' * 10**5 + b"1" + b"}" * 10**5, "nested too deeply"),
    "NaN": (b"[NaN]", "NaN is no number"),
    "infinity": (b"[-Infinity]", "-Infinity is no number"),
    "a large exponent": (b"[1e999]", "is too large"),
    "digits": (b"[" + b"9" * 10**6 + b"]", "digit"),
    "digits before an exponent": (b"[" + b"9" * 10**5 + b".5]", "is too large"),
    "a key twice": (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' occurs twice"),
    "a key twice inside": (b'[{"x": {"a": 1, "a": 1}}]', "occurs twice"),
    "no UTF-8": (b'["\xff"]', "utf-8"),
    "nothing": (b"", "Expecting value"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_value_is_an_error(case, tmp_path):
    text, says = BAD[case]
    with pytest.raises(ValueError, match=says):
        parse_json(text)
    path = tmp_path / "classes.json"
    path.write_bytes(text)
    error = bounded(lambda: read_classes(path))
    assert isinstance(error, UserError) and "cannot be read as JSON" in str(error)


def test_bounds_of_large_ones(tmp_path):
    paths = []
    for number, part in enumerate((b"[]", b"{}", b'""', b'{"id": 1}', b"0", b"1.5")):
        body = (part + b",") * (MAX_BYTES // (len(part) + 1) - 20)
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_bytes(b'{"classes": [' + body[:-1] + b"]}")
    keys = b",".join(b'"k%d": 0' % k for k in range(60_000))
    paths.append(tmp_path / "keys.json")
    paths[-1].write_bytes(b'{"classes": [0], ' + keys + b"}")
    *said, of_keys = in_a_program(
        "hostile", "sentences", "wrp_jax.data.label_maps:read_classes", [str(p) for p in paths]
    )
    assert all("classes: labels of 8 bits" in sentence for sentence in said)
    assert "an object of 60001 keys" in of_keys
    paths[0].write_bytes(b" " * (MAX_BYTES + 1))
    assert "bytes and may have" in str(bounded(lambda: read_json(paths[0])))


def test_mutated_classes(tmp_path):
    path = tmp_path / "classes.json"
    entries = [{"id": i, "name": f"n{i}", "color": [i, 0, 0], "void": i == 3} for i in range(4)]
    whole = json.dumps({"classes": entries, "void_id": 3}).encode()
    for data in mutations(whole, 300, seed=0):
        path.write_bytes(data)
        bounded(lambda: read_classes(path), small=True)

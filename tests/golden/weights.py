"""Deterministic network weights for the golden fixtures.  Needs only NumPy.

A fixture is a pair (weights, input) -> outputs.  The weights are never stored:
they are drawn again, tensor by tensor, from the *name* and *shape* of every
entry listed in a manifest (``<model>.json``), by the rule below.

The rule
--------
For an entry called ``name`` with shape ``shape``::

    rng = numpy.random.Generator(numpy.random.PCG64(zlib.crc32((salt + name).encode("utf-8"))))

``salt`` is the empty string for every published fixture; any other string
gives an entirely different set of weights.  An entry that carries
``"alias_of": other`` is the same tensor as ``other`` (PyTorch registers one
module under two names) and is drawn under the name ``other``.  One draw is
made per entry, in float64, then cast to float32:

===========================  =================================================
entry                        value
===========================  =================================================
has ``"value"``              that constant, reshaped to ``shape``
``*.num_batches_tracked``    zeros (int64)
``*.running_mean``           ``0.1 * rng.standard_normal(shape)``
``*.running_var``            ``rng.uniform(0.5, 1.5, shape)``
``*.weight``, 1-D (a norm)   ``gain * rng.uniform(0.5, 1.5, shape)``
``*.weight``, >= 2-D         ``gain * sqrt(2 / fan_in) * rng.standard_normal(shape)``
``*.bias``                   ``gain * 0.1 * rng.standard_normal(shape)``
===========================  =================================================

``fan_in`` is ``prod(shape[1:])`` (convolution ``O, I, kh, kw`` or linear
``O, I``).  An entry marked ``"transposed": true`` is a stride-2 transposed
convolution whose weight is ``I, O, kh, kw``; its ``fan_in`` is
``shape[0] * shape[2] * shape[3] / 4``, the number of taps that meet in one
output pixel.

``gain`` is 1 unless a pattern of the manifest's ``"gains"`` list
(``[[regex, gain], ...]``, first match by ``re.search`` on the full name wins)
says otherwise.  The damped gains keep activations of the deep networks in a
sane range: with unit gains the residual branches double the variance in every
block.

Because NumPy does not promise the stream of ``Generator`` for ever, each
manifest holds ``"checks"``: for a few names, the first element and the float64
sum of the float32 tensor for ``salt == ""``.  ``check_manifest`` compares them.
"""

import json
import math
import re
import zlib

import numpy as np

__all__ = ["check_manifest", "load_manifest", "make_state_dict", "make_tensor"]


def load_manifest(manifest_json):
    """Returns the manifest as a dict.  Accepts a path, an open file or a dict."""
    if isinstance(manifest_json, dict):
        return manifest_json
    if hasattr(manifest_json, "read"):
        return json.load(manifest_json)
    with open(manifest_json, encoding="utf-8") as handle:
        return json.load(handle)


def _gain(name, gains):
    for pattern, value in gains:
        if re.search(pattern, name):
            return float(value)
    return 1.0


def make_tensor(name, entry, gains=(), salt=""):
    """Draws one tensor.

    Args:
      name: full parameter name, exactly as written in the manifest.
      entry: its manifest record (``shape``, ``dtype`` and the optional keys
        ``value``, ``alias_of``, ``transposed``).
      gains: the manifest's ``gains`` list.
      salt: string put in front of the name before hashing.
    """
    shape = tuple(entry["shape"])
    if "value" in entry:
        return np.asarray(entry["value"], dtype=entry["dtype"]).reshape(shape)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)

    name = entry.get("alias_of", name)
    gain = _gain(name, gains)
    rng = np.random.Generator(np.random.PCG64(zlib.crc32((salt + name).encode("utf-8"))))

    if name.endswith("running_mean"):
        data = 0.1 * rng.standard_normal(shape)
    elif name.endswith("running_var"):
        data = rng.uniform(0.5, 1.5, shape)
    elif name.endswith("bias"):
        data = gain * 0.1 * rng.standard_normal(shape)
    elif name.endswith("weight") and len(shape) == 1:
        data = gain * rng.uniform(0.5, 1.5, shape)
    elif name.endswith("weight") and len(shape) >= 2:
        if entry.get("transposed", False):
            fan_in = shape[0] * math.prod(shape[2:]) / 4.0
        else:
            fan_in = math.prod(shape[1:])
        data = gain * math.sqrt(2.0 / fan_in) * rng.standard_normal(shape)
    else:
        raise ValueError(f"no rule for {name!r} with shape {shape}")
    return data.astype(np.float32)


def make_state_dict(manifest_json, salt=""):
    """Returns ``{name: array}`` for every entry of a manifest, in its order."""
    manifest = load_manifest(manifest_json)
    gains = manifest.get("gains", [])
    return {
        name: make_tensor(name, entry, gains, salt)
        for name, entry in manifest["parameters"].items()
    }


def check_manifest(manifest_json):
    """Raises if this NumPy draws other numbers than the fixtures were made with."""
    manifest = load_manifest(manifest_json)
    for name, (first, total) in manifest["checks"].items():
        tensor = make_tensor(name, manifest["parameters"][name], manifest.get("gains", []))
        got = (float(tensor.flat[0]), float(tensor.sum(dtype=np.float64)))
        if not np.allclose(got, (first, total), rtol=1e-6, atol=1e-6):
            raise AssertionError(f"{name}: drew {got}, expected {(first, total)}")

"""Published weights' names → our parameters, strictly: every name on either side is accounted for.

Our modules carry the published names, so a parameter's path, joined by dots, is its name in the
file but for the last part (``LEAVES``). Another release's names are translated first, by the
table of its network.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.models.motion.flownet2 import build_flownet2
from wrp_jax.models.motion.raft import build_raft
from wrp_jax.models.motion.refined_dis import build_refined_dis
from wrp_jax.models.motion.sdcnet import FLOW_MEAN, FLOW_STD, build_sdcnet
from wrp_jax.models.network import Network
from wrp_jax.weights import efficientnet, hrnet

LEAVES = {
    "kernel": ("weight", (2, 3, 1, 0)),
    "transposed_kernel": ("weight", (2, 3, 0, 1)),
    "scale": ("weight", None),
    "bias": ("bias", None),
    "mean": ("running_mean", None),
    "var": ("running_var", None),
}
"""Last part of a path → its name in a PyTorch file, and the axes that bring its array to ours."""

Renames = tuple[tuple[str, str], ...]

TORCHVISION_RAFT: Renames = (
    (r"^feature_encoder\.", "fnet."),
    (r"^context_encoder\.", "cnet."),
    (r"^(fnet|cnet)\.convnormrelu\.0\.", r"\1.conv1."),
    (r"^(fnet|cnet)\.convnormrelu\.1\.", r"\1.norm1."),
    (r"^(fnet|cnet)\.conv\.", r"\1.conv2."),
    (r"^((?:fnet|cnet)\.layer\d\.\d)\.convnormrelu(\d)\.0\.", r"\1.conv\2."),
    (r"^((?:fnet|cnet)\.layer\d\.\d)\.convnormrelu(\d)\.1\.", r"\1.norm\2."),
    (r"^update_block\.motion_encoder\.convcorr(\d)\.0\.", r"update_block.encoder.convc\1."),
    (r"^update_block\.motion_encoder\.convflow(\d)\.0\.", r"update_block.encoder.convf\1."),
    (r"^update_block\.motion_encoder\.conv\.0\.", "update_block.encoder.conv."),
)
TORCHVISION_RAFT_LARGE: Renames = (
    *TORCHVISION_RAFT,
    (
        r"^update_block\.recurrent_block\.convgru([12])\.conv([zrq])\.",
        r"update_block.gru.conv\2\1.",
    ),
    (r"^mask_predictor\.convrelu\.0\.", "update_block.mask.0."),
    (r"^mask_predictor\.conv\.", "update_block.mask.2."),
)
TORCHVISION_RAFT_SMALL: Renames = (
    *TORCHVISION_RAFT,
    (r"^update_block\.recurrent_block\.convgru1\.conv([zrq])\.", r"update_block.gru.conv\1."),
)


_COUNTS = r"\.num_batches_tracked$"


@dataclasses.dataclass(frozen=True)
class Published:
    """What is known of a network's published files.

    Attributes:
      build: the network.
      inputs: shapes it is initialised with.
      renames: patterns and replacements that bring another release's names to ours; a name that
        matches none stays.
      duplicates: the same for names that a file holds twice; the copy must be equal.
      ignored: patterns of entries that belong to the file and not to us.
      constants: entries that are fixed in our network and must have these values.
      names: patterns and replacements that bring our names to the original release's, where a
        path is not its name.
      sizes: what ``build`` can be told, each with the entry whose first axis has that size; a
        file decides.
    """

    build: Callable[..., Network]
    inputs: tuple[tuple[int, ...], ...]
    renames: Renames = ()
    duplicates: Renames = ()
    ignored: tuple[str, ...] = (_COUNTS,)
    constants: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    names: Renames = ()
    sizes: Mapping[str, str] = dataclasses.field(default_factory=dict)


_MAX_SIZE = 4096  # channels and classes
_PAIR = ((1, 128, 128, 3), (1, 128, 128, 3))
_IMAGE = ((1, 64, 64, 3),)


def _hrnet_ocr(network: str) -> Published:
    return Published(
        functools.partial(hrnet.hrnet, network),
        _IMAGE,
        names=hrnet.NAMES,
        sizes={"width": "backbone.transition1.0.1.bias", "num_classes": "ocr.cls_head.bias"},
    )


_SDCNET = Published(
    build_sdcnet,
    ((1, 3, 64, 64, 3), (1, 2, 64, 64, 2)),
    # The release's checkpoint may hold its frozen FlowNet2, which is a network of its own here.
    ignored=(r"^flownet2\.", r"^rgb_mean$"),
    constants={"flow_mean": FLOW_MEAN, "flow_std": FLOW_STD},
)

NETWORKS: dict[str, Published] = {
    "raft_large": Published(
        lambda: build_raft("raft_large", iterations=1),
        _PAIR,
        TORCHVISION_RAFT_LARGE,
        duplicates=((r"^(cnet\.layer\d\.\d)\.norm3\.", r"\1.downsample.1."),),
    ),
    "raft_small": Published(
        lambda: build_raft("raft_small", iterations=1), _PAIR, TORCHVISION_RAFT_SMALL
    ),
    "sdcnet": _SDCNET,
    # Without the frame to come: fewer inputs, the same layers.
    "sdcnet_prediction": dataclasses.replace(
        _SDCNET, inputs=((1, 2, 64, 64, 3), (1, 1, 64, 64, 2))
    ),
    "flownet2": Published(build_flownet2, ((1, 64, 64, 3), (1, 64, 64, 3))),
    "hrnet_ocr_mscale": _hrnet_ocr("hrnet_ocr_mscale"),
    "hrnet_ocr": _hrnet_ocr("hrnet_ocr"),
    "hrnetv2_imagenet": Published(
        functools.partial(hrnet.hrnet, "hrnetv2_imagenet"),
        _IMAGE,
        ignored=(_COUNTS, *hrnet.IMAGENET_HEAD),
        names=hrnet.BACKBONE_NAMES,
        sizes={"width": "transition1.0.1.bias"},
    ),
    "efficientnet_lite0": Published(
        efficientnet.encoder,
        _IMAGE,
        ignored=(_COUNTS, *efficientnet.CLASSIFIER),
        names=efficientnet.NAMES,
    ),
    # Ours: there is no other release of it.
    "refined_dis": Published(
        build_refined_dis, ((1, 64, 64, 3), (1, 64, 64, 3), (1, 64, 64, 2), (1, 64, 64, 2))
    ),
}


@dataclasses.dataclass(frozen=True)
class Report:
    """How a file fits a network; names are the file's, ``missing`` in the original's naming."""

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    misshaped: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every parameter was found and nothing is left over."""
        return not (self.missing or self.unused or self.misshaped)

    def __str__(self) -> str:
        lines = [
            f"matched {len(self.matched)}, missing {len(self.missing)}, unused "
            f"{len(self.unused)}, mis-shaped {len(self.misshaped)}, of no use to any network "
            f"{len(self.ignored)}"
        ]
        for kind in ("missing", "unused", "misshaped"):
            lines += [
                # A name that is not printable could steer the terminal.
                f"  {kind.replace('mis', 'mis-', kind == 'misshaped')}: "
                f"{name if name.isprintable() else repr(name)}"
                for name in getattr(self, kind)
            ]
        return "\n".join(lines)


def leaves(
    tree: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Paths and values of nested dictionaries; the opposite of ``nest``."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


@functools.lru_cache(maxsize=4)
def _template(network: str, sizes: tuple[tuple[str, int], ...]) -> dict[tuple[str, ...], Any]:
    entry = NETWORKS[network]
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in entry.inputs]
    variables = jax.eval_shape(entry.build(**dict(sizes)).init, jax.random.key(0), *inputs)
    return dict(leaves(variables))


def template(network: str, **sizes: int) -> dict[tuple[str, ...], jax.ShapeDtypeStruct]:
    """Shapes of all variables of a network by path (collection first), without computing any.

    Args:
      network: a key of ``NETWORKS``.
      **sizes: those of the network's ``Published.sizes`` that are not the usual ones.
    """
    return dict(_template(network, tuple(sorted(sizes.items()))))


def published_name(path: tuple[str, ...], names: Renames = ()) -> str:
    """The original release's name of the variable at ``path`` (collection first).

    Args:
      path: where the variable lies in our network.
      names: the network's ``Published.names``.
    """
    return translate(".".join((*path[1:-1], LEAVES[path[-1]][0])), names)


def by_published_name(flat: Mapping[tuple[str, ...], Any], network: str) -> dict[str, Any]:
    """Values by the original release's names; paths that are no variable's are left out."""
    names = NETWORKS[network].names
    return {
        published_name(path, names): value
        for path, value in flat.items()
        if len(path) > 1 and path[-1] in LEAVES
    }


def sizes_held(shapes: Mapping[str, Any], network: str) -> dict[str, int]:
    """How large a network a file holds: what ``template`` is to be told.

    A size that no network has is left out, so that its entry does not fit.

    Args:
      shapes: arrays, or anything with a shape, by the original release's names.
      network: a key of ``NETWORKS``.
    """
    entries = NETWORKS[network].sizes.items()
    return {
        size: shapes[name].shape[0]
        for size, name in entries
        if name in shapes
        and len(shapes[name].shape) == 1
        and 1 <= shapes[name].shape[0] <= _MAX_SIZE
    }


def translate(name: str, renames: Renames) -> str:
    """Applies a table of patterns and replacements to a name, in order."""
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _fit(array: np.ndarray, leaf: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Our layout of a file's array, or None where the shapes disagree."""
    axes = LEAVES[leaf][1]
    if axes is not None:
        if array.ndim == 2 and len(shape) == 2:
            axes = (1, 0)
        elif array.ndim != 4:
            return None
        array = array.transpose(axes)
        if array.shape[:2] == (1, 1) and len(shape) == 2:
            array = array[0, 0]
    return array if array.shape == shape else None


def nest(flat: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Nested dictionaries from paths."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
    return tree


def fit_state_dict(
    state: Mapping[str, np.ndarray], network: str
) -> tuple[dict[tuple[str, ...], np.ndarray], Report]:
    """Lays a PyTorch state dict out as a network's variables.

    Args:
      state: arrays by name, as ``read_pth`` returns them.
      network: a key of ``NETWORKS``; its width and number of classes are the file's.

    Returns:
      float32 arrays by path for every name that matched, and the report.
    """
    entry = NETWORKS[network]
    shapes = template(network, **sizes_held(state, network))
    paths = {published_name(path, entry.names): path for path in shapes}
    found: dict[tuple[str, ...], np.ndarray] = {}
    matched, unused, misshaped, ignored = [], [], [], []
    copies = []
    for name, array in state.items():
        original = translate(name, entry.renames)
        single = translate(original, entry.duplicates)
        if any(re.search(pattern, original) for pattern in entry.ignored):
            ignored.append(name)
        elif original in entry.constants:
            constant = entry.constants[original]
            same = array.size == len(constant) and np.allclose(array.ravel(), constant, rtol=1e-5)
            (ignored if same else misshaped).append(name)
        elif single != original:
            copies.append((name, single, array))
        elif original not in paths or paths[original] in found:
            unused.append(name)
        else:
            path = paths[original]
            fitted = _fit(array, path[-1], shapes[path].shape)
            if fitted is None:
                misshaped.append(name)
            else:
                matched.append(name)
                found[path] = np.ascontiguousarray(fitted, np.float32).reshape(fitted.shape)
    for name, single, array in copies:
        path = paths.get(single)
        same = path in found and np.array_equal(array, found[path])
        (ignored if same else misshaped).append(name)
    reached = {translate(name, entry.renames) for name in misshaped}
    missing = [n for n, path in paths.items() if path not in found and n not in reached]
    report = Report(*map(tuple, (matched, missing, unused, misshaped, ignored)))
    return found, report

"""Predictions of any segmentation network as files, one set per frame; read as g_ψ, and written.

    DIR/<sequence>/probs/<frame>.npz         `probs` or `logits` [h, w, c], float16 or float32, of
                                             any stride; `features` [fh, fw, f] if there are any
    DIR/<sequence>/labels/<frame>.png        or: ids, 8 or 16 bits, one channel or palette
    DIR/<sequence>/confidence/<frame>.png    beside the ids, 8 bits, 255 = certain
    DIR/class_map.json                       {"classes": {"7": "road", "3": null, ...}}

The class map names our class for each of their ids (PNG) or channels (``.npz``), null for one
that says nothing. Without it ids are those of our ``classes.json`` and channels stand in its order.
``wrp predict`` writes either form.

Logits are resized to the frame, then made probabilities; probabilities are resized. Resizing is
bilinear on half-pixel centres, and the mean over the covered pixels where it shrinks. Ids and
their confidence are resized to the nearest. What is left of a confidence is spread evenly over
the other classes. Thresholds are applied by who reads, never here.
"""

from __future__ import annotations

import hashlib
import io
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from wrp_jax import interrupts
from wrp_jax.data import images, label_maps, label_pictures
from wrp_jax.data.source import VideoSource, frame_size, reading
from wrp_jax.data.windows import window_frames
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.npz import ArrayHeader, NpzFile
from wrp_jax.files.output import check_name
from wrp_jax.files.regular import read_bytes
from wrp_jax.files.strict_json import MAX_BYTES, parse_json
from wrp_jax.types import UNLABELLED, ClassMap, UserError, Window

PRECOMPUTED = "precomputed"

FORMATS = ("png", "npz")
"""What predictions are written as: labels and confidence, or all there is."""
"""The name in ``config.segmentation`` of predictions that lie in files."""

CLASS_MAP_FILE = "class_map.json"
STRIDE = 8
"""Pixels per feature where the probabilities stand in for features."""

_SHAPE_TOLERANCE = 0.1  # of the ratio of the sides
_MAX_ENLARGED = 2  # sides of scores, in sides of their frame
_MAX_FEATURES = 64  # numbers of features per pixel; 1024 at a stride of 4
_LEAST_SIDE = 64  # frames smaller than that may have predictions of it
_MAX_ID = 2**16 - 1


class Predictions:
    """A folder of predictions.

    Attributes:
      folder: see the module.
      classes: ours.
    """

    def __init__(self, folder: Path, classes: ClassMap):
        """Reads the class map; no prediction is opened yet.

        Raises:
          UserError: no such folder, or a class map that is broken or names other classes.
        """
        if not folder.is_dir():
            raise UserError(
                f"config.segmentation.folder={folder} is not a folder: give one with "
                "<sequence>/probs/*.npz, or <sequence>/labels/*.png and confidence/*.png."
            )
        self.folder, self.classes = folder, classes
        self._names = _read_class_map(folder / CLASS_MAP_FILE, classes)

    def check(self, source: VideoSource, frames: Iterable[tuple[str, str]]) -> None:
        """Raises ``UserError`` for the first (sequence, frame) that cannot be read.

        Ids are read in full; of a ``.npz``, which takes long, its headers and lengths.
        """
        for sequence, name in frames:
            interrupts.check()
            arrays = self.array_path(self.folder, sequence, name)
            ids = self._picture_path("labels", sequence, name)
            size = frame_size(source, sequence, name)
            if not arrays.exists():
                self.read(sequence, name, size)
                continue
            if ids.exists():
                raise UserError(f"There are two predictions, {arrays} and {ids}: remove one.")
            with self._open_arrays(arrays, size) as file:
                self._check_arrays(file, arrays, size)

    def digest(self) -> str:
        """Of the files' names, sizes and times: results made from others are not to be mixed."""
        facts = hashlib.sha256()
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        # Beside them lies what ``predict`` remembers of its own work.
        for path in sorted(path for path in files if not path.name.startswith(".")):
            status = path.stat()
            name = path.relative_to(self.folder)
            facts.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
        return facts.hexdigest()

    def read(
        self, sequence: str, name: str, size: tuple[int, int]
    ) -> tuple[Float[np.ndarray, "h w c"], Float[np.ndarray, "fh fw f"]]:
        """Probabilities of our classes at the size of the frame, and features.

        Without features of their own the probabilities are, as means over blocks of 8x8.

        Raises:
          UserError: no file for this frame, or one that is damaged, has another shape than the
            frame, ids or channels outside the class map, or numbers that are no probabilities.
        """
        path = self.array_path(self.folder, sequence, name)
        with reading(name):
            if path.exists():
                probs, features = self._read_arrays(path, size)
            else:
                probs, features = self._read_pictures(sequence, name, size), None
        return probs, block_means(probs) if features is None else features

    @staticmethod
    def array_path(folder: Path, sequence: str, name: str) -> Path:
        """Where the ``.npz`` of a frame stands."""
        return _place(folder, "probs", sequence, f"{name}.npz")

    def _picture_path(self, kind: str, sequence: str, name: str) -> Path:
        return _place(self.folder, kind, sequence, f"{name}.png")

    # --- arrays ------------------------------------------------------------------------------

    def _read_arrays(
        self, path: Path, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        with self._open_arrays(path, size) as file:
            kind, columns = self._check_arrays(file, path, size)
            features = file.read("features") if "features" in file.names else None
            scores = file.read(kind)
        scores = scores.astype(np.float32)
        if not np.isfinite(scores).all() or (kind == "probs" and scores.min() < 0):
            raise UserError(
                f"{path}: {kind} hold numbers that are not finite or negative; write it again."
            )
        if kind == "logits":
            probs = _softmax(_resized(scores, size))
        else:
            probs = np.maximum(_resized(scores, size), 0.0)
        ours = np.zeros((*size, self.classes.num_classes), np.float32)
        for column, index in enumerate(columns):
            if index is not None:
                ours[..., index] += probs[..., column]
        if features is not None and not np.isfinite(features).all():
            raise UserError(f"{path}: features must be finite numbers [h, w, channels].")
        return self._normalised(ours), None if features is None else features.astype(np.float32)

    def _open_arrays(self, path: Path, size: tuple[int, int]) -> NpzFile:
        pixels = max(size[0], _LEAST_SIDE) * max(size[1], _LEAST_SIDE)
        channels = self.classes.num_classes if self._names is None else len(self._names)
        most = 4 * channels * _MAX_ENLARGED**2 + 8 * _MAX_FEATURES
        return NpzFile(path, limit=pixels * most)

    def _check_arrays(
        self, file: NpzFile, path: Path, size: tuple[int, int]
    ) -> tuple[str, list[int | None]]:
        """What the headers say; the name of the scores and our class of each channel."""
        kinds = [kind for kind in ("probs", "logits") if kind in file.names]
        if len(kinds) != 1:
            raise UserError(f"{path} must hold one array, probs or logits, [h, w, classes].")
        columns = self._check_scores(path, kinds[0], file.header(kinds[0]), size)
        if "features" in file.names:
            _check_features(path, file.header("features"), size)
        return kinds[0], columns

    def _check_scores(
        self, path: Path, kind: str, header: ArrayHeader, size: tuple[int, int]
    ) -> list[int | None]:
        """What the header says of the scores, before they are read; our class of each channel."""
        shape = header.shape
        if len(shape) != 3 or header.dtype not in (np.float16, np.float32):
            raise UserError(
                f"{path}: {kind} are {header.dtype} {list(shape)}; save them as float16 or "
                "float32 [h, w, classes]."
            )
        _check_shape(path, shape[:2], size)
        return self._columns(path, shape[2])

    def _columns(self, path: Path, count: int) -> list[int | None]:
        if self._names is None:
            if count != self.classes.num_classes:
                raise UserError(
                    f"{path} has {count} channels for {self.classes.num_classes} classes: name "
                    f"the class of each channel in {self.folder / CLASS_MAP_FILE}."
                )
            return list(range(count))
        missing = [column for column in range(count) if column not in self._names]
        if missing:
            raise UserError(
                f"{path} has a channel {missing[0]} that {self.folder / CLASS_MAP_FILE} does not "
                "name: add it, with null if it says nothing."
            )
        return [self._names[column] for column in range(count)]

    def _normalised(self, probs: np.ndarray) -> np.ndarray:
        total = probs.sum(-1, keepdims=True)
        said = total > 1e-6
        if np.all(np.abs(total - 1.0) < 1e-5):
            return probs  # as it was written
        return np.where(said, probs / np.where(said, total, 1.0), self._nothing())

    def _nothing(self) -> np.ndarray:
        """The distribution that says nothing: even over what is no void."""
        open_to = ~np.asarray(self.classes.void)
        return (open_to / open_to.sum()).astype(np.float32)

    # --- pictures ----------------------------------------------------------------------------

    def _read_pictures(self, sequence: str, name: str, size: tuple[int, int]) -> np.ndarray:
        path = self._picture_path("labels", sequence, name)
        if not path.exists():
            arrays = self.array_path(self.folder, sequence, name)
            raise UserError(f"There is no prediction {path}, nor {arrays}: write one of them.")
        picture = images.decode_label(read_bytes(path), path)
        ids = label_pictures.ids_of(picture, self.classes, path, self._class_of())
        if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
            raise UserError(
                f"{path} is no picture of ids ({ids.dtype} {list(ids.shape)}): save them as 8- or "
                "16-bit PNG of one channel."
            )
        _check_shape(path, ids.shape, size)
        index = _nearest(self._indices(ids, path), size)
        sure = _nearest(self._confidence(sequence, name, ids.shape), size)
        classes = self.classes.num_classes
        # Never below an even share, or rounding would make another class the likeliest.
        sure = np.maximum(sure, np.float32((1.0 + 1e-4) / classes))
        probs = np.repeat(((1.0 - sure) / max(classes - 1, 1))[..., None], classes, axis=-1)
        said = index >= 0
        np.put_along_axis(probs, np.maximum(index, 0)[..., None], sure[..., None], axis=-1)
        return np.where(said[..., None], probs, self._nothing()).astype(np.float32)

    def _class_of(self) -> dict[int, int]:
        """Our class index by their id, -1 where the id says nothing."""
        if self._names is None:
            ids = dict(zip(self.classes.ids, range(self.classes.num_classes), strict=True))
            return {UNLABELLED: -1} | ids
        return {id_: -1 if index is None else index for id_, index in self._names.items()}

    def _indices(self, ids: np.ndarray, path: Path) -> np.ndarray:
        """Our class indices, -1 where nothing is said."""
        if self._names is None and 255 not in self.classes.ids:
            known = np.where(ids == 255, self.classes.ids[0], ids)
            return np.where(ids == 255, -1, label_maps.ids_to_indices(known, self.classes, path))
        if self._names is None:
            return label_maps.ids_to_indices(ids, self.classes, path)
        found = np.unique(ids)
        unknown = [int(i) for i in found if int(i) not in self._names]
        if unknown:
            raise UserError(
                f"{path} has the id {unknown[0]}, which {self.folder / CLASS_MAP_FILE} does not "
                "name: add it, with null if it says nothing."
            )
        ours = np.array([-1 if (n := self._names[int(i)]) is None else n for i in found], np.int32)
        return ours[np.searchsorted(found, ids)]

    def _confidence(self, sequence: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
        path = self._picture_path("confidence", sequence, name)
        if not path.exists():
            raise UserError(f"{path} is missing: write the confidence of each id, 255 = certain.")
        picture = images.decode_label(read_bytes(path), path)
        grey = label_pictures.grey_levels(picture, path)
        if grey.shape != shape:
            raise UserError(
                f"{path} is {list(grey.shape)}: save the confidence at the size of its ids, "
                f"{list(shape)}."
            )
        return grey.astype(np.float32) / np.float32(255.0)


def open_predictions(folder: str, source: VideoSource, windows: Sequence[Window]) -> Predictions:
    """Opens a folder and checks that every frame of the windows has its files.

    Args:
      folder: ``config.segmentation.folder``.
      source: the video.
      windows: what is going to be asked for.

    Raises:
      UserError: no folder, or a file that is missing or broken.
    """
    if not folder:
        raise UserError(
            "config.segmentation.name=precomputed needs --config.segmentation.folder=DIR."
        )
    predictions = Predictions(Path(folder), source.classes)
    frames = {(w.sequence, name): None for w in windows for name in window_frames(w, source)}
    predictions.check(source, frames)
    return predictions


def write_arrays(
    folder: Path,
    sequence: str,
    name: str,
    probs: Float[np.ndarray, "h w c"],
    features: Float[np.ndarray, "fh fw f"],
) -> None:
    """Writes what g_ψ says of a frame as ``.npz``; `Predictions.read` gives the same numbers."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        probs=np.asarray(probs, np.float32),
        features=np.asarray(features, np.float32),
    )
    write_atomically(Predictions.array_path(folder, sequence, name), buffer.getvalue())


def _place(folder: Path, kind: str, sequence: str, file: str) -> Path:
    for name in (sequence, file):
        check_name(name)
    return folder / sequence / kind / file


def block_means(probs: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "fh fw c"]:
    """Means over blocks of `STRIDE` x `STRIDE` pixels; blocks at the end may be smaller."""
    h, w, c = probs.shape
    pad = ((0, -h % STRIDE), (0, -w % STRIDE), (0, 0))
    filled = np.pad(probs, pad, mode="edge")
    rows, columns = filled.shape[0] // STRIDE, filled.shape[1] // STRIDE
    return filled.reshape(rows, STRIDE, columns, STRIDE, c).mean((1, 3), dtype=np.float32)


def _check_features(path: Path, header: ArrayHeader, size: tuple[int, int]) -> None:
    shape = header.shape
    if len(shape) != 3 or min(shape) < 1 or header.dtype.kind != "f":
        raise UserError(f"{path}: features must be finite numbers [h, w, channels].")
    pixels = max(size[0], _LEAST_SIDE) * max(size[1], _LEAST_SIDE)
    if shape[0] * shape[1] * shape[2] > _MAX_FEATURES * pixels:
        raise UserError(
            f"{path}: features are {list(shape)}, more than {_MAX_FEATURES} numbers per pixel of "
            f"a frame of {size[1]}x{size[0]}: save fewer channels or a larger stride."
        )


def _read_class_map(path: Path, classes: ClassMap) -> dict[int, int | None] | None:
    if not path.exists():
        return None
    text = read_bytes(path, MAX_BYTES)
    try:
        content = parse_json(text)
        entries = dict(content["classes"])
        label_maps.check_keys(content, ("classes",), str(path))
        # int() alone would take "+7", "7_0" and " 7 ", and two spellings of one number.
        wrong = next(
            (k for k in entries if not (k.isascii() and k.isdecimal() and str(int(k)) == k)), None
        )
        if wrong is not None or any(int(key) > _MAX_ID for key in entries):
            raise ValueError(f"{reprlib.repr(wrong)} is no id" if wrong else "an id is too large")
        names = {
            int(key): value.strip() if isinstance(value, str) else value
            for key, value in entries.items()
        }
    except UserError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no class map ({error}): write it like "
            '{"classes": {"7": "road", "3": null}}.'
        ) from error
    for key, value in names.items():
        if value is not None and value not in classes.names:
            raise UserError(
                f"{path} maps {key} to {reprlib.repr(value)}, which is no class of classes.json "
                f"({', '.join(classes.names)}): use one of its names, or null."
            )
    return {k: None if v is None else classes.names.index(v) for k, v in names.items()}


def _check_shape(path: Path, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    most = [max(_MAX_ENLARGED * side, _LEAST_SIDE) for side in size]
    if shape[0] > most[0] or shape[1] > most[1]:
        raise UserError(
            f"{path} is {shape[1]}x{shape[0]} and its frame is {size[1]}x{size[0]}: predictions "
            f"may have {_MAX_ENLARGED} times its sides."
        )
    if min(shape) < 1 or abs(np.log(shape[0] * size[1] / (shape[1] * size[0]))) > _SHAPE_TOLERANCE:
        raise UserError(
            f"{path} is {shape[1]}x{shape[0]} but its frame is {size[1]}x{size[0]}: predictions "
            "must show the whole frame and nothing else."
        )


def _resized(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    h, w, classes = scores.shape
    if (h, w) == size:
        return scores
    how = cv2.INTER_AREA if h >= size[0] and w >= size[1] else cv2.INTER_LINEAR
    # Channel by channel: OpenCV takes few channels at once.
    parts = [cv2.resize(scores[..., c], size[::-1], interpolation=how) for c in range(classes)]
    return np.stack(parts, axis=-1)


def _nearest(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape == size:
        return picture
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for new, old in zip(size, picture.shape, strict=True)
    )
    return picture[rows[:, None], columns]


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)

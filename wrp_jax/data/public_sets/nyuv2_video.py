"""The raw video of NYU-Depth V2 around its labelled frames, at two frames a second.

The archives (``basements.zip``, ``bathrooms_part1.zip`` and so on, or all in one) hold a folder per
scene, ``bathroom_0001``, or ``basement_0001a`` where a recording has parts. In it lie
``r-<time>-<count>.ppm`` (640x480, RGB, 20 to 30 a second at uneven times), ``d-<time>-<count>.pgm``
(depth), ``a-<time>-<count>.dump`` (acceleration), all named after the second of their recording,
and ``INDEX.txt``, which lists them in this order. Some of the published files are cut or empty.

The pictures of the labelled set are frames of this video, named by its ``rawRgbFilenames``
(``basement_0001a/r-1316653580.484909-1316500621.ppm``), with the distortion of the lens taken out,
white where that leaves nothing. The same is done here to the frames around them: labels would else
lie beside what they label, by five pixels in the middle of the sides and by nine in the corners.

Reference: Silberman et al., ECCV 2012, and the toolbox of the set: times as
``get_synched_frames.m`` reads them, the camera of ``camera_params.m``, ``project_depth_map.m`` for
the lens; ``INDEX.txt`` as OpenKinect/libfreenect, ``fakenect/record.c`` writes it. Two frames a
second and up to 21 of them: Ganeshan et al., ICCV 2021, section 4.1.
"""

from __future__ import annotations

import bisect
import functools
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from jaxtyping import UInt8

from wrp_jax.data import images
from wrp_jax.data.public_sets.public_set import Picture, Pixels
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import UserError

INTERVAL = 500_000
"""Microseconds from frame to frame."""

REACH = 10
"""Frames on both sides of the labelled one."""

_RAW = re.compile(r"r-(\d+)\.(\d{6})-\d+\.ppm")

_CAMERA = np.array([
    [5.1885790117450188e02, 0.0, 3.2558244941119034e02],
    [0.0, 5.1946961112127485e02, 2.5373616633400465e02],
    [0.0, 0.0, 1.0],
])  # fmt: skip
_LENS = np.array([
    2.0796615318809061e-01, -5.8613825163911781e-01, 7.2231363135888329e-04,
    1.0479627195765181e-03, 4.9856986684705107e-01,
])  # fmt: skip
"""k1, k2, p1, p2, k3."""

_WHITE = (255, 255, 255)
_log = logging.getLogger(__name__)


def with_video(
    data: Path, pictures: Sequence[Picture], raw: Mapping[str, str], frame_bytes: int
) -> tuple[tuple[Picture, ...], tuple[tuple[str, str, str, str], ...]]:
    """Puts the frames of the raw video around labelled pictures.

    Args:
      data: holds folders of scenes, or folders that do.
      pictures: the labelled ones of one split.
      raw: by the name of a picture its file in the video: ``<scene>/r-<time>-<count>.ppm``.
      frame_bytes: bytes of the pixels of a frame; shorter files are passed over.

    Returns:
      The pictures, and windows. A picture whose scene is there becomes a sequence of its own,
      ``<split>_<name>``, whose frames are named by their microsecond; the others are as they were.

    Raises:
      UserError: scenes lack frames that their ``INDEX.txt`` lists: how many, the first of them.
    """
    scenes = _find_scenes(data, {PurePosixPath(raw[p.name]).parent.name for p in pictures})
    found: list[Picture] = []
    windows: list[tuple[str, str, str, str]] = []
    missing: list[Path] = []
    alone = 0
    for picture in pictures:
        path = PurePosixPath(raw[picture.name])
        scene, key = scenes.get(path.parent.name), _time(path.name)
        around: dict[int, Path] = {}
        if scene is not None and key is not None:
            around, lost = scene.around(key, frame_bytes)
            missing += lost
        if key is None or not around:
            alone += 1
            found.append(picture)
            continue
        sequence = f"{picture.sequence}_{picture.name}"
        times = sorted({*around, key})
        windows.append((sequence, str(key), str(times[0]), str(times[-1])))
        for time in times:
            if time == key:
                found.append(Picture(sequence, str(key), picture.frame, picture.label))
            else:
                found.append(Picture(sequence, str(time), _undistorted(around[time])))
    if missing:
        raise UserError(
            f"{data} lacks {len(missing)} frames of the raw video around labelled ones, the first "
            f"is {missing[0]}: unpack the archive of its scene again, or move {missing[0].parent} "
            "away to convert the labelled pictures of that scene alone."
        )
    if scenes and alone:
        _log.warning(
            "%s: %d of %d labelled pictures have no raw video there and stay single pictures",
            data, alone, len(pictures),
        )  # fmt: skip
    return tuple(found), tuple(windows)


class _Scene:
    """The frames of a scene: those that are there, and those that its ``INDEX.txt`` lists."""

    def __init__(self, folder: Path):
        index = folder / "INDEX.txt"
        listed = read_bytes(index).decode(errors="replace").splitlines() if index.is_file() else []
        names = {line.strip() for line in listed} | {path.name for path in folder.glob("r-*.ppm")}
        times = {name: _time(name) for name in names}
        self._paths = {time: folder / name for name, time in times.items() if time is not None}
        self._times = sorted(self._paths)

    def around(self, key: int, frame_bytes: int) -> tuple[dict[int, Path], list[Path]]:
        """Frames by their time, half a second apart, and what is missing of them.

        Each is the nearest to its time that is whole. Where the scene has none within half the
        distance, it ends or was interrupted, and frames beyond are not taken.
        """
        found: dict[int, Path] = {}
        lost: list[Path] = []
        for side in (-1, 1):
            for step in range(1, REACH + 1):
                wanted = key + side * step * INTERVAL
                nearest = self._near(wanted)
                if not nearest:
                    break
                whole = next((t for t in nearest if self._is_whole(t, frame_bytes)), None)
                if whole is None:
                    lost.append(self._paths[nearest[0]])
                else:
                    found[whole] = self._paths[whole]
        return found, lost

    def _near(self, wanted: int) -> list[int]:
        """Times less than half an interval away, the nearest first."""
        low = bisect.bisect_right(self._times, wanted - INTERVAL // 2)
        high = bisect.bisect_left(self._times, wanted + INTERVAL // 2)
        return sorted(self._times[low:high], key=lambda time: abs(time - wanted))

    def _is_whole(self, time: int, frame_bytes: int) -> bool:
        path = self._paths[time]
        return path.is_file() and path.stat().st_size > frame_bytes


def _find_scenes(data: Path, names: Iterable[str]) -> dict[str, _Scene]:
    """The scenes that are there, by name."""
    places = (data, *sorted(path for path in data.iterdir() if path.is_dir()))
    folders = {
        name: next((place / name for place in places if (place / name).is_dir()), None)
        for name in names
    }
    return {name: _Scene(folder) for name, folder in folders.items() if folder is not None}


def _time(name: str) -> int | None:
    """Microseconds of the name of a colour frame; None for other files."""
    match = _RAW.fullmatch(name)
    return int(match[1]) * 1_000_000 + int(match[2]) if match else None


def _undistorted(path: Path) -> Pixels:
    return Pixels(str(path), path, functools.partial(_read_undistorted, path))


def _read_undistorted(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    return undistort(images.decode_frame(read_bytes(path), path))


def undistort(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Takes the distortion of the lens out of a frame of the video; white where nothing is left.

    Args:
      frame: 640x480; of frames of other sizes the camera is taken to be scaled.
    """
    height, width = frame.shape[:2]
    camera = np.diag([width / 640, height / 480, 1.0]) @ _CAMERA
    maps = cv2.initUndistortRectifyMap(
        camera, _LENS, np.eye(3), camera, (width, height), cv2.CV_32FC1
    )
    return cv2.remap(frame, *maps, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, _WHITE)

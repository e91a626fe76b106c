"""Processor time until a run knows what it has to do: ``python -m benchmarks.planning``.

Plans the labelling of 20 000 JPEG frames in 20 sequences, every tenth of them labelled: names in
their order, the size of every frame, the pixels of every label. Frames are small, since no frame is
decoded. The median of five times, in a process that has planned before; ``--record=NAME`` stores
it.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import statistics
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.request import Request

SEQUENCES, FRAMES, KEY_EVERY = 20, 1000, 10


def write_video(root: Path) -> None:
    """A folder of frames and labels as ``open_folder`` reads it."""
    frame, label = io.BytesIO(), io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(frame, "JPEG")
    Image.fromarray((np.indices((48, 64)).sum(0) % 2).astype(np.uint8)).save(label, "PNG")
    for sequence in range(SEQUENCES):
        folder = root / f"{sequence:02d}"
        for kind in ("frames", "labels"):
            (folder / kind).mkdir(parents=True)
        for number in range(FRAMES):
            (folder / "frames" / f"{number:06d}.jpg").write_bytes(frame.getvalue())
            if number % KEY_EVERY == 0:
                (folder / "labels" / f"{number:06d}.png").write_bytes(label.getvalue())
    classes = [{"id": i, "name": str(i), "color": [90 * i] * 3} for i in range(2)]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))


def measure(times: int = 5) -> dict[str, float]:
    """Processor seconds, and how many frames and labels that is for."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "video"
        write_video(root)
        request = Request(str(root), Path(folder) / "out", method="motion-only")
        spent = []
        for _ in range(times + 1):
            before = _seconds()
            make_plan(Config(), request)
            spent.append(_seconds() - before)
    labels = SEQUENCES * -(-FRAMES // KEY_EVERY)
    return {
        "seconds": statistics.median(spent[1:]), "frames": SEQUENCES * FRAMES, "labels": labels
    }  # fmt: skip


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Prints the seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    record_option(parser)
    parsed = parser.parse_args()
    found = measure()
    print(f"{found['seconds']:.2f} s for {found['frames']} frames")
    if parsed.record:
        write_result(parsed.record, found, note="processor seconds of make_plan")


if __name__ == "__main__":
    main()

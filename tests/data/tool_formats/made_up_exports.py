"""What tests of tool formats share: exports of tools, written by hand as their documents say."""

import json
import zipfile

import numpy as np
from PIL import Image

from wrp_jax.data.open_source import open_source
from wrp_jax.data.tool_formats.import_project import import_project

SIZE = (6, 8)
"""Height and width of all pictures."""


def halves(left=1, right=2, top=0):
    """A label of three parts."""
    label = np.full(SIZE, left)
    label[:, 4:] = right
    label[:2] = top
    return label


def write(path, pixels, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    if palette is not None:
        image.putpalette(np.asarray(palette, np.uint8).tobytes())
    image.save(path)


def write_frames(folder, *names, suffix=".png"):
    for number, name in enumerate(names):
        write(folder / f"{name}{suffix}", np.full((*SIZE, 3), 10 * number + 1))


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def zipped(folder, inside=""):
    """An archive of a folder beside it."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, inside + file.relative_to(folder).as_posix())
    return path


def imported(source, out, **options):
    """The folder that an export becomes, opened."""
    import_project(source, out, **options)
    return open_source(str(out))


def written(source, sequence, name):
    """Names of the classes of a label, pixel by pixel."""
    return np.array(source.classes.names)[source.label(sequence, name)]


def named(label, *names):
    return np.array(names)[label]

"""Exports as they come from people's machines: each is read, or told in one sentence."""

import json
import shutil
import tarfile
import unicodedata
import zipfile

import numpy as np
import pytest
from made_up_exports import halves, write, zipped
from PIL import Image
from test_import import COLORS, cvat_masks, label_studio

from wrp_jax.data.open_source import open_source
from wrp_jax.data.tool_formats import import_project as module
from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.types import MachineError, UserError


def frames_of(job):
    return sorted(job.glob("JPEGImages/*.png"))


def label_of(job):
    return next(job.glob("SegmentationClass/*.png"))


def of_a_mac(job):
    path = zipped(job, "task 1/")
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("__MACOSX/task 1/._labelmap.txt", "task 1/.DS_Store"):
            archive.writestr(name, b"x")
        archive.writestr("__MACOSX/task 1/SegmentationClass/._000000.png", b"x")
    return path


def of_windows(job):
    """Upper-case endings, and separators that only Windows has."""
    path = job.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(f for f in job.rglob("*") if f.is_file()):
            info = zipfile.ZipInfo("x")
            name = str(file.relative_to(job)).replace("/", "\\").replace(".png", ".PNG")
            info.filename = info.orig_filename = name
            archive.writestr(info, file.read_bytes())
    return path


def umlauts(job):
    """As file systems spell them in two ways."""
    for form, paths in (("NFC", frames_of(job)), ("NFD", [label_of(job)])):
        for path in paths:
            path.rename(path.with_name(unicodedata.normalize(form, f"bei Köln {path.name}")))
    return job


def turned(job):
    for path in frames_of(job):
        image = Image.open(path).rotate(90, expand=True)
        tags = image.getexif()
        tags[0x112] = 6
        image.save(path.with_suffix(".jpg"), exif=tags)
        path.unlink()
    return job


def grey_of_16_bits(job):
    Image.fromarray(halves().astype(np.uint16)).save(label_of(job))
    return job


def grey_with_alpha(job):
    Image.fromarray(halves().astype(np.uint8)).convert("LA").save(label_of(job))
    return job


def opaque(job):
    Image.open(label_of(job)).convert("RGBA").save(label_of(job))
    return job


def palette_with_transparency(job):
    palette = cvat_masks(job.with_name("palette"), palette=True)
    image = Image.open(label_of(palette))
    image.load()
    image.save(label_of(job), transparency=1)
    return job


def without_background(job):
    """Nobody has drawn on what is black."""
    path = job / "labelmap.txt"
    path.write_text(path.read_text().replace("background:0,0,0::\n", ""))
    return job


READ = [
    of_a_mac, of_windows, umlauts, turned, grey_of_16_bits, grey_with_alpha, opaque,
    palette_with_transparency, without_background,
]  # fmt: skip


@pytest.mark.parametrize("change", READ, ids=lambda f: f.__name__)
def test_what_is_read(tmp_path, change):
    import_project(change(cvat_masks(tmp_path / "job")), tmp_path / "D")
    source = open_source(str(tmp_path / "D"))
    (name,) = source.label_names("job")
    assert len(source.frame_names("job")) == 2 and name in source.frame_names("job")
    found = np.array(source.classes.names)[source.label("job", name)]
    none = "unlabelled" if change is without_background else "background"
    np.testing.assert_array_equal(found, np.array([none, "road", "car"])[halves()])
    assert source.classes.void_index == (2 if change is without_background else None)


def not_opaque(job):
    pixels = np.array(Image.open(label_of(job)).convert("RGBA"))
    pixels[2, 3, 3] = 0
    Image.fromarray(pixels).save(label_of(job))
    return job


def label_as_jpeg(job):
    path = label_of(job)
    Image.open(path).save(path.with_suffix(".jpg"))
    path.unlink()
    return job


def turned_without_its_label(job):
    turned(job)
    write(label_of(job), COLORS[halves().T])
    return job


def smaller_label(job):
    write(label_of(job), COLORS[halves()[::2, ::2]])
    return job


def empty(job):
    path = job.with_name("empty.zip")
    zipfile.ZipFile(path, "w").close()
    return path


def in_a_zip(job):
    path = job.with_name("outer.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(zipped(job), "job.zip")
    return path


def as_tar(job):
    path = job.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(job, "job")
        link = tarfile.TarInfo("job/JPEGImages/000009.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hosts"
        archive.addfile(link)
    return path


def as_tar_gz(job):
    path = job.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(job, "job")
    return path


def several(job):
    """Whose labels would pass for frames."""
    shutil.copytree(job, job / "both/a")
    shutil.copytree(job / "both/a", job / "both/b")
    return job / "both"


def tasks_without_pictures(job):
    root, _ = label_studio(job.with_name("project"))
    tasks = [{**task, "data": {}} for task in json.loads((root / "project.json").read_text())]
    (root / "project.json").write_text(json.dumps(tasks))
    return root


def films(job):
    folder = job.with_name("films")
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"x")
    return folder


REFUSED = [
    (not_opaque, "1 pixels that are not opaque, the first at row 2, column 3"),
    (label_as_jpeg, "000000.jpg holds JPEG data, .*: save labels as PNG"),
    (turned_without_its_label, r"is 6x8 but its frame is 8x6 \(turned as its file says\)"),
    (smaller_label, "is 4x3 but its frame is 8x6: labels must have the size"),
    (empty, "empty.zip holds no files: export it again"),
    (in_a_zip, "holds an archive, job.zip: unpack outer.zip and give that"),
    (as_tar, "job.tar is an archive, but no zip: unpack it"),
    (as_tar_gz, "job.tar.gz is an archive, but no zip: unpack it"),
    (several, "both/a is an export of its own .* beside others: import each folder by itself"),
    (tasks_without_pictures, r"task 12 has no picture .* \(its data name no picture\): export"),
    (films, "holds videos, such as a.mp4: give one of them"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=lambda f: getattr(f, "__name__", ""))
def test_what_is_refused(tmp_path, change, says):
    with pytest.raises(UserError, match=says) as refused:
        import_project(change(cvat_masks(tmp_path / "job")), tmp_path / "D")
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("D/*/labels/*"))


def test_an_archive_that_is_larger_than_the_disk(tmp_path, monkeypatch):
    path = zipped(cvat_masks(tmp_path / "job"))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("JPEGImages/000009.png", bytes(2**20))
    usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(MachineError, match=r"job.zip unpacks to .* GB are free on the disk of"):
        import_project(path, tmp_path / "D")
    assert not (tmp_path / "D").exists()

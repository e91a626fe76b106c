"""An export in the place of a folder: imported once, beside the results."""

import contextlib
import json
import threading

import numpy as np
import pytest
from made_up_exports import write, write_frames, zipped
from test_import import cvat_masks

from wrp_jax.data.open_source import open_source
from wrp_jax.data.tool_formats import imported as module
from wrp_jax.data.tool_formats.imported import export_at, imported, imported_in, refuse_film
from wrp_jax.files.lock import sole_writer
from wrp_jax.types import Interrupted, UserError


def opened(data, home, said=None, **options):
    """What is to be read in the place of ``data``."""
    with imported(
        str(data), home, say=[].append if said is None else said.append, **options
    ) as found:
        return found


def never(*args, **kwargs):
    raise AssertionError("imported again")


@pytest.fixture
def export(tmp_path):
    return zipped(cvat_masks(tmp_path / "job"))


def test_it_is_imported_once(tmp_path, monkeypatch, export):
    home, said = tmp_path / "out", []
    found = opened(export, home, said)
    assert found == str(home / "imported") and open_source(found).label_names("job") == {"000000"}
    assert said == [f"{found} holds 2 frames, 1 of them with labels, from {KIND}."]
    assert imported_in(home, None) == imported_in(home, str(export)) == found
    with monkeypatch.context() as patch:
        patch.setattr(module, "import_project", never)
        assert opened(export, home, said) == opened(export, home, dry_run=True) == found
    assert said[1:] == [f"{found} is what was imported from {export}, which has not changed."]
    (home / "imported/job/frames/000001.png").unlink()
    opened(export, home, said)
    assert (home / "imported/job/frames/000001.png").is_file()
    job = tmp_path / "job"
    write(job / "SegmentationClass/000001.png", np.zeros((6, 8, 3)))
    zipped(job)
    assert imported_in(home, str(export)) == str(export)
    assert open_source(opened(export, home, said)).label_names("job") == {"000000", "000001"}
    assert "holds 2 frames, 2 of them with labels" in said[-1]


KIND = "CVAT's segmentation masks"


def test_a_dry_run_writes_nothing(tmp_path, export):
    with imported(str(export), tmp_path / "out", dry_run=True, say=never) as found:
        assert open_source(found).sequences == ("job",)
    assert not (tmp_path / "out").exists() and not open_folder_exists(found)


def open_folder_exists(path):
    with contextlib.suppress(UserError):
        return bool(open_source(path))
    return False


def test_after_a_mistake_it_goes_again_where_there_is_nothing_else(tmp_path, export):
    def body(home, error, make=None):
        with pytest.raises(type(error)), imported(str(export), home, say=str):
            if make:
                make.write_text("x")
            raise error

    home = tmp_path / "out"
    body(home, UserError("no such sequence"))
    assert not home.exists()
    home.mkdir()
    body(home, UserError("no such sequence"))
    assert not list(home.iterdir())
    body(home, Interrupted("stopped"))  # the same command goes on with it
    assert [path.name for path in home.iterdir()] == ["imported"]
    body(home, UserError("no such sequence"))  # it was there before
    assert [path.name for path in home.iterdir()] == ["imported"]
    body(tmp_path / "out2", UserError("later"), tmp_path / "out2/imported/../run.json")
    assert (tmp_path / "out2/imported").is_dir()


def test_an_import_that_was_stopped_is_made_again(tmp_path, monkeypatch, export):
    home = tmp_path / "out"
    opened(export, home)
    before = export.stat()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_is_current", lambda *_: False)
        patch.setattr(module, "import_project", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            opened(export, home)
    assert export.stat() == before and not imported_in(home, None)
    said = []
    opened(export, home, said)
    assert "is unchanged" in said[0]


def test_processes_that_share_a_folder_wait_for_the_first(tmp_path, monkeypatch, export):
    home, held, said = tmp_path / "out", threading.Event(), []
    opened(export, tmp_path / "other")

    def first():
        with sole_writer(home, "--output"):
            held.set()
            finish.wait(10)
            (tmp_path / "other/imported").rename(home / "imported")

    finish = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    held.wait(10)
    monkeypatch.setattr(module, "import_project", never)
    monkeypatch.setattr(module.time, "sleep", lambda _: (finish.set(), thread.join()))
    assert opened(export, home, said, shared=True) == str(home / "imported")
    assert said == [f"waiting until another process has imported {export}"]


def test_what_is_read_as_it_is(tmp_path, monkeypatch):
    """A folder of ours is not looked through for exports, whatever else lies in it."""
    monkeypatch.setattr(module, "open_tree", never)
    ours = tmp_path / "D"
    write_frames(ours / "a/frames", "0", "1")
    (ours / "classes.json").write_text("{}")
    write_frames(ours / "JPEGImages", "0")
    (ours / "SegmentationClass").mkdir()
    for data in (ours, ours / "a", tmp_path / "none", "synthetic:clips=1", "tfds:a/b:c"):
        assert not export_at(str(data), tmp_path / "out")


OUTPUT_RUN = json.dumps({"methods": [], "protocol": "", "windows": []})


def an_output(root):
    write_frames(root / "out/a/labels", "0")
    (root / "out/run.json").write_text(OUTPUT_RUN)
    return root / "out"


def ours_in_a_zip(root):
    write_frames(root / "D/a/frames", "0")
    return zipped(root / "D", "D/")


def cut_off(root):
    path = zipped(cvat_masks(root / "job"))
    path.write_bytes(path.read_bytes()[:-100])
    return path


def pairs(root):
    write_frames(root / "set/images", "0")
    write_frames(root / "set/labels", "0")
    return root / "set"


def film(root):
    (root / "clip.MP4").write_bytes(b"film")
    return root / "clip.MP4"


REFUSED = {
    "an output": (an_output, "is an output of wrp propagate: 'wrp view"),
    "a zip of ours": (ours_in_a_zip, "is an archive of a folder that wrp reads: unpack it, then"),
    "a zip that is cut off": (cut_off, r"job.zip is damaged or cut off: export it again"),
    "what needs a flag of import": (pairs, r"give --classes=FILE.* flag of 'wrp import .*set D'"),
    "a film": (film, "is a video without labels: 'wrp propagate --data=.*clip.MP4 --label="),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(tmp_path, kind):
    make, says = REFUSED[kind]
    data, home = make(tmp_path), tmp_path / "home"
    with pytest.raises(UserError, match=says):
        opened(data, home)
    assert not home.exists()


def test_a_film_is_refused_before_a_config_is_asked_for(tmp_path):
    with pytest.raises(UserError, match="is a video without labels"):
        refuse_film(str(film(tmp_path)))
    refuse_film(str(tmp_path))

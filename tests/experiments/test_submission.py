"""Files for the servers, and their scores on a made-up validation split."""

import json

import numpy as np
import pytest
from PIL import Image

from experiments import submission
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.evaluation.cityscapes import CityscapesScores

NAME = "bonn_000000_000019"


@pytest.fixture
def predicted(tmp_path, monkeypatch):
    """Two frames of 8x16 in the form of ``wrp predict``; the left half is a car."""
    monkeypatch.setitem(
        submission.FILES, "cityscapes", (submission.FILES["cityscapes"][0], (8, 16))
    )
    classes = cityscapes_classes()
    writer = LabelWriter(tmp_path / "P", classes)
    label = np.zeros((8, 16), int)
    label[:, :8] = classes.names.index("car")
    for name in (NAME, "000007_10"):
        writer.write("test", name, label, np.ones((8, 16), np.float32))
    return tmp_path


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("kind", "name", "label", "instance", "factor"),
    [
        ("cityscapes", NAME, f"gtFine/val/bonn/{NAME}_gtFine_labelIds.png",
         f"gtFine/val/bonn/{NAME}_gtFine_instanceIds.png", 1000),
        ("kitti", "000007_10", "training/semantic/000007_10.png",
         "training/instance/000007_10.png", 256),
    ],
)  # fmt: skip
def test_grey_pictures_of_ids_by_the_names_of_the_set(
    predicted, capsys, kind, name, label, instance, factor
):
    out, truth = predicted / "S", np.full((8, 16), 7)
    truth[:, :4] = 26
    save(predicted / label, truth.astype(np.uint8))
    numbers = np.where(truth == 26, 26 * factor + 1, truth if factor == 1000 else truth * 256)
    save(predicted / instance, numbers.astype(np.uint16))
    words = [kind, f"--predictions={predicted / 'P'}", f"--output={out}", f"--truth={predicted}"]
    assert submission.main(words) == 0
    picture = Image.open(out / f"{name}.png")
    assert [p.name for p in out.iterdir()] == [f"{name}.png"] and picture.mode == "L"
    said = np.asarray(picture)
    assert (said[:, :8] == 26).all() and (said[:, 8:] == 7).all()
    printed = json.loads(capsys.readouterr().out.partition("\n")[2])
    direct = CityscapesScores()
    direct.add(truth, said, np.where(truth == 26, 26001, truth))
    assert printed == {"frames": 1, **direct.scores()}
    assert printed["class"]["IoU"]["car"] == pytest.approx(50.0)
    assert printed["class"]["iIoU"]["car"] > 99.0  # one small car weighs as a mean one


def test_mistakes_are_told(predicted, capsys):
    def refused(says, *words):
        flags = [f"--predictions={predicted / 'P'}", f"--output={predicted / 'S'}"]
        assert submission.main(["cityscapes", *flags, *words]) == 2
        assert says in capsys.readouterr().err

    refused("holds no label of the frames", f"--truth={predicted / 'P'}")
    path = predicted / "P/test/labels" / f"{NAME}.png"
    save(predicted / "P/other/labels" / f"{NAME}.png", np.zeros((8, 16), np.uint8))
    refused(f"two predictions of {NAME}")
    (predicted / "P/other/labels" / f"{NAME}.png").unlink()
    save(path, np.full((8, 16), 5, np.uint8))
    refused("holds the id 5, which is not scored")
    save(path, np.zeros((8, 15), np.uint8))
    refused("is 15x8, and frames of cityscapes are 16x8")
    path.unlink()
    refused("by the names of cityscapes")

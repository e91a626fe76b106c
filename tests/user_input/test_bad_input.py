"""Mistakes of a user, through the real commands: one sentence, exit code 2, nothing written."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from small_folder import CLASSES, classes, command, refused, save, tree, write

from wrp_jax.runs.results import save_result

MOTION = """
from wrp_jax.config import Config, MotionConfig

def get_config():
    return Config(stages=("motion",), motion=MotionConfig(name="refined_dis"))
"""
DEMO = """
from wrp_jax.config import Config, MotionConfig

def get_config():
    return Config(
        data="synthetic:clips=1,frames=3,height=16,width=24",
        key_every=3,
        motion=MotionConfig(name="raft_small"),
    )
"""
BOTH = ("train.py", "propagate.py")


def cut(path):
    write(path, path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    """Damages the middle of a file and leaves its ends."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    write(path, bytes(content))


def jpeg(home, change=None):
    frame = home / "D/a/frames/2.png"
    frame.with_suffix(".jpg").parent.mkdir(exist_ok=True)
    Image.open(frame).save(frame.with_suffix(".jpg"))
    frame.unlink()
    if change:
        change(frame.with_suffix(".jpg"))


def nest(home):
    shutil.move(home / "D/a", home / "D/city/a")


def save_indexed(path, ids, colour_of):
    """A palette PNG whose entry i has the colour of the class with id ``colour_of[i]``."""
    colors = {entry["id"]: entry["color"] for entry in CLASSES}
    image = Image.fromarray(ids.astype(np.uint8))
    image.putpalette([part for i in range(8) for part in colors.get(colour_of.get(i), (1, 2, i))])
    image.save(path)


LABEL, FRAME = "D/a/labels/1.png", "D/a/frames/2.png"
FOLDERS = {
    # What the specification lists.
    "no such folder": (lambda h: shutil.rmtree(h / "D"), "D is not a folder"),
    "empty folder": (lambda h: (shutil.rmtree(h / "D"), (h / "D").mkdir()), "D holds no video"),
    "label without frame": (lambda h: (h / "D/a/frames/3.png").unlink(), "label without a frame"),
    "label of another size": (lambda h: save(h / LABEL, np.zeros((5, 6))), "6x5 but its frame"),
    "unknown ids": (lambda h: save(h / LABEL, np.full((17, 31), 3)), "527 pixels with ids outside"),
    "colour label": (lambda h: save(h / LABEL, np.zeros((17, 31, 3))), "colour picture"),
    "label with alpha": (lambda h: save(h / LABEL, np.zeros((17, 31, 4))), "colour picture"),
    "16-bit label": (
        lambda h: save(h / LABEL, np.full((17, 31), 700), np.uint16),
        "with ids outside classes.json (700",
    ),
    "0/255 label": (
        lambda h: save(h / LABEL, 255 * (np.arange(31) > 9) + np.zeros((17, 1))),
        "0/255 mask",
    ),
    "label whose palette was counted anew": (
        lambda h: save_indexed(h / LABEL, np.arange(31) % 2 * 7 + np.zeros((17, 1)), {0: 7, 7: 0}),
        "entry 0 has the colour of 'car', 7 has the colour of 'road'",
    ),
    "label of JPEG": (
        lambda h: Image.open(h / LABEL).save(h / LABEL, format="JPEG"),
        "holds JPEG data",
    ),
    "flipped bits of a label": (lambda h: flip(h / LABEL), "1.png is damaged or cut off"),
    "misspelt key": (
        lambda h: classes(h, [*CLASSES, {"id": 9, "name": "x", "Void": True}]),
        "write it as 'void'",
    ),
    "frames beside sequences": (
        lambda h: shutil.copytree(h / "D/a/frames", h / "D/frames"),
        "has frames of its own",
    ),
    "list of frames that forgets one": (
        lambda h: write(h / "D/a/frames.txt", "0\n1\n3\n4\n"),
        "does not name the frame '2'",
    ),
    "cut PNG": (lambda h: cut(h / FRAME), "2.png is damaged or cut off"),
    "cut JPEG": (lambda h: jpeg(h, cut), "D/a/frames/2.jpg"),
    "cut label": (lambda h: cut(h / LABEL), "1.png is damaged or cut off"),
    "flipped bits": (lambda h: flip(h / FRAME), "2.png is damaged or cut off"),
    "a name that is no text": (
        lambda h: os.rename(h / FRAME, os.fsencode(h / "D/a/frames") + b"/\xff.png"),
        "is no name for a file",
    ),
    "empty frame": (lambda h: write(h / FRAME, b""), "0 bytes"),
    "one frame": (
        lambda h: [p.unlink() for p in (h / "D/a").glob("*/*.png") if p.stem != "1"],
        "one frame only",
    ),
    "no labels": (lambda h: shutil.rmtree(h / "D/a/labels"), "no labelled frame"),
    # What else happens.
    "empty labels": (lambda h: [p.unlink() for p in (h / "D/a/labels").iterdir()], "no labelled"),
    "no frames": (lambda h: shutil.rmtree(h / "D/a/frames"), "has labels but no frames"),
    "empty frames": (
        lambda h: [p.unlink() for p in (h / "D/a").glob("*/*.png")],
        "holds no pictures",
    ),
    "frames of several sizes": (lambda h: save(h / FRAME, np.zeros((17, 33, 3))), "33x17 but"),
    "16-bit frame": (
        lambda h: save(h / FRAME, np.zeros((17, 31)), np.uint16),
        "more than 8 bits per channel",
    ),
    "text as a frame": (lambda h: write(h / FRAME, "frame"), "not a picture"),
    "two files for a frame": (
        lambda h: Image.open(h / FRAME).save(h / "D/a/frames/2.jpg"),
        "has both 2.jpg and 2.png",
    ),
    "dangling link": (
        lambda h: ((h / FRAME).unlink(), (h / FRAME).symlink_to(h / "nowhere.png")),
        "2.png cannot be read",
    ),
    "loop of links": (
        lambda h: (shutil.rmtree(h / "D/a/frames"), (h / "D/a/frames").symlink_to("frames")),
        "frames",
    ),
    "frames one level too deep": (nest, "D/city/a/frames"),
    "frames without a folder": (
        lambda h: (
            [shutil.move(p, h / "D" / p.name) for p in (h / "D/a/frames").iterdir()]
            and shutil.rmtree(h / "D/a")
        ),
        "D holds no video, but pictures like 0.png in no sequence",
    ),
    "a video file": (
        lambda h: (shutil.rmtree(h / "D/a"), write(h / "D/street.mp4", b"mp4")),
        "D/street.mp4",
    ),
    "no classes": (lambda h: (h / "D/classes.json").unlink(), "classes.json is missing"),
    "classes that are no JSON": (
        lambda h: write(h / "D/classes.json", "{'classes': []}"),
        "cannot be read as JSON",
    ),
    "classes in UTF-16": (
        lambda h: write(h / "D/classes.json", json.dumps({"classes": CLASSES}).encode("utf-16")),
        "cannot be read as JSON",
    ),
    "classes as a list": (
        lambda h: write(h / "D/classes.json", json.dumps(CLASSES)),
        'has no list "classes"',
    ),
    "an id twice": (lambda h: classes(h, [*CLASSES, {"id": 7, "name": "x"}]), "the id 7 is used"),
    "an id missing": (lambda h: classes(h, [{"name": "road"}]), "class number 0 needs an id"),
    "a name missing": (lambda h: classes(h, [{"id": 0}]), "the class with id 0 needs a name"),
    "an id too large": (lambda h: classes(h, [{"id": 300, "name": "x"}]), "from 0 to 255"),
    "only void": (lambda h: classes(h, [{"id": 0, "name": "x", "void": True}]), "every class is"),
}


@pytest.mark.parametrize("mistake", FOLDERS)
@pytest.mark.parametrize("program", BOTH)
def test_mistakes_in_the_data(server, home, program, mistake):
    change, said = FOLDERS[mistake]
    change(home)
    refused(server, home, program, said)


FLAGS = {
    "unknown option": (BOTH, ("--config.propagation.taul=1",), "did you mean"),
    "option of another type": (BOTH, ("--config.seed=abc",), "seed"),
    "number out of range": (BOTH, ("--config.propagation.horizon=0",), "must be at least 1"),
    "no config": (BOTH, ("--config=NONE",), "--config is missing"),
    "config that is not there": (BOTH, ("--config=conf.py",), "conf.py does not exist"),
    "config that does not load": (BOTH, ("--config=broken.py",), "(broken.py, line 1)"),
    "flag file that is not there": (BOTH, ("--flagfile=none.txt",), "open flagfile"),
    "unknown flag": (BOTH, ("--mthod=static",), "Unknown command line flag 'mthod'"),
    "no data": (BOTH, ("--data=NONE",), "--data"),
    "data that is a file": (BOTH, ("--data=keys.txt",), "keys.txt is not a folder"),
    "no data set": (BOTH, ("--data=tfds:x/y:train@D",), "no prepared data set"),
    "no tfds name": (BOTH, ("--data=tfds:x",), "must be tfds:"),
    "unknown synthetic option": (BOTH, ("--data=synthetic:clip=1",), "is no option"),
    "no list": (BOTH, ("--keyframes=none.txt",), "none.txt cannot be read"),
    "an empty list": (BOTH, ("--keyframes=empty.txt",), "empty.txt is empty"),
    "unlabelled keyframe": (BOTH, ("--keyframes=unlabelled.txt",), "has no label file"),
    "keyframe that is not there": (BOTH, ("--keyframes=nowhere.txt",), "has no frame '9'"),
    "unknown sequence": (BOTH, ("--keyframes=other.txt",), "has no sequence 'c'"),
    "window of unknown frames": (BOTH, ("--windows=windows.txt",), "has no frame '9'"),
    "list of the other kind": (BOTH, ("--windows=keys.txt",), "does not have 4 fields"),
    "two lists": (BOTH, ("--windows=keys.txt", "--keyframes=keys.txt"), "exclude each other"),
    "workdir in the data": (("train.py",), ("--workdir=D/run",), "inside the input"),
    "workdir in the stills": (
        ("train.py",),
        ("--data=synthetic:clips=1,frames=3,height=17,width=31", "--stills=D:keys.txt",
         "--workdir=D/run"),
        "inside the input",
    ),
    "workdir that is a file": (("train.py",), ("--workdir=keys.txt",), "is a file"),
    "stills without a list": (("train.py",), ("--stills=D",), "must be ROOT:SPLITFILE"),
    "stills that are not there": (("train.py",), ("--stills=D:none.txt",), "there is no list"),
    "unknown stage": (("train.py",), ("--config.stages=segment",), "'segment'"),
    "output in the data": (("propagate.py",), ("--output=D/out",), "inside the input"),
    "output in a linked sequence": (
        ("propagate.py",), ("--output=linked/out",), "inside the input",
    ),
    "output with too long a name": (("propagate.py",), (f"--output={'x' * 300}",), "too long"),
    "output that is no path": (("propagate.py",), ("--output=a\0b",), "null byte"),
    "output of nobody": (("propagate.py",), ("--output=~nobody-here/out",), "no place for"),
    "output that is a file": (("propagate.py",), ("--output=keys.txt",), "is a file"),
    "no output": (("propagate.py",), ("--output=NONE",), "--output is missing"),
    "horizon 0": (("propagate.py",), ("--horizon=0",), "must be at least 1"),
    "negative horizon": (("propagate.py",), ("--horizon=-3",), "must be at least 1"),
    "horizon in words": (("propagate.py",), ("--horizon=ten",), "horizon"),
    "unknown method": (("propagate.py",), ("--method=motion",), "--method=motion is unknown"),
    "no workdir": (("propagate.py",), ("--method=all",), "--workdir is missing"),
    "workdir not trained": (
        ("propagate.py",),
        ("--method=all", "--workdir=RUN"),
        "segmentation.npz does not exist",
    ),
    "unknown carrier": (("propagate.py",), ("--config.propagation.carrier=x",), "carrier is 'x'"),
    "unknown mask": (("propagate.py",), ("--config.propagation.mask=x",), "mask is 'x'"),
    "unknown motion": (BOTH, ("--config.motion.name=x",), "motion.name is 'x'"),
    "unknown preset": (BOTH, ("--config.motion.preset=x",), "preset is 'x'"),
    "unknown segmenter": (("train.py",), ("--config.segmentation.name=x",), "name is 'x'"),
    "unknown refiner": (("train.py",), ("--config.refiner.name=x",), "refiner.name is 'x'"),
    "unknown source": (("train.py",), ("--config.refiner.source=x",), "refiner.source is 'x'"),
    "paper's option": (("train.py",), ("--config.refiner.learn_tau=true",), "refiner.learn_tau"),
    "unknown optimiser": (
        ("train.py",), ("--config.segmentation.optimiser.name=x",), "optimiser.name is 'x'",
    ),
    "batch that does not divide": (
        ("train.py",), ("--config.segmentation.optimiser.accumulate=3",), "does not divide into",
    ),
    "weights that only the stage reads": (
        ("train.py",), ("--config.segmentation.weights=none.npz",), "none.npz is no segmentation",
    ),
    "no stage": (("train.py",), ("--config.stages=()",), "config.stages is empty"),
    "no label by the rule": (BOTH, ("--config.key_every=100",), "in the middle of each 100"),
    "unknown augmentation": (
        ("train.py",), ("--config.segmentation.sampling.augmentation=x",), "augmentation is 'x'",
    ),
    "unknown segmentation loss": (
        ("train.py",), ("--config.segmentation.optimiser.loss=x",), "optimiser.loss is 'x'",
    ),
    "unknown motion loss": (
        ("train.py",), ("--config=motion.py", "--config.motion_training.optimiser.loss=x"),
        "optimiser.loss is 'x'",
    ),
    "unknown schedule": (
        ("train.py",), ("--config=motion.py", "--config.motion_training.optimiser.schedule=x"),
        "schedule is 'x'",
    ),
    "unknown preset in training": (
        ("train.py",), ("--config=motion.py", "--config.motion.preset=x"), "preset is 'x'",
    ),
    "unknown flow for SDC-Net": (
        ("train.py",), ("--config=motion.py", "--config.motion.name=sdcnet",
        "--config.motion_training.optimiser.loss=reconstruction", "--config.motion.flow=x"),
        "motion.flow='x' is unknown",
    ),
    "motion to train on that is not there": (
        ("train.py",), ("--config=motion.py", "--config.motion.weights=none.pth"), "none.pth",
    ),
    "a mixture without numbers": (
        ("train.py",), ("--config=motion.py", "--config.motion_training.sampling.mix=('chairs',)"),
        "write 'COUNT SPEC'",
    ),
    "motion that cannot be trained": (
        ("train.py",), ("--config=motion.py", "--config.motion.name=dis"), "cannot be trained",
    ),
    "network without weights": (BOTH, ("--config.motion.name=raft_small",), "motion_video.py"),
    "demo of a network without weights": (
        ("propagate.py",),
        ("--config=demo.py", "--data=NONE", "--output=OUT", "--method=all"), "motion_video.py",
    ),
    "windows without labels": (
        ("train.py",), ("--config=motion.py", "--windows=windows.txt"), "--windows has no effect",
    ),
    "keyframes without labels": (
        ("train.py",), ("--config=motion.py", "--keyframes=keys.txt"), "--keyframes has no effect",
    ),
    "stills without labels": (
        ("train.py",), ("--config=motion.py", "--stills=D:keys.txt"), "--stills has no effect",
    ),
    "windows without video": (
        ("train.py",),
        ("--config.stages=segmentation", "--data=NONE", "--stills=D:keys.txt",
         "--windows=keys.txt"),
        "--windows names frames of --data",
    ),
    "flow that is not there": (
        BOTH, ("--config.motion.name=precomputed", "--config.motion.folder=D"), "1.flo is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("program", "mistake"), [(p, name) for name, (which, *_) in FLAGS.items() for p in which]
)
def test_mistakes_in_the_flags(server, home, program, mistake):
    _, flags, said = FLAGS[mistake]
    for name, content in {
        "empty.txt": "# nothing\n",
        "unlabelled.txt": "a 2\n",
        "nowhere.txt": "a 9\n",
        "other.txt": "c 1\n",
        "windows.txt": "a 1 0 9\n",
        "broken.py": "def get_config(:\n",
        "motion.py": MOTION,
        "demo.py": DEMO,
    }.items():
        write(home / name, content)
    (home / "linked/frames").mkdir(parents=True)
    save(home / "linked/frames/0.png", np.zeros((17, 31, 3)))
    (home / "D/b").symlink_to(home / "linked")
    refused(server, home, program, said, *flags)


def test_a_workdir_of_other_classes(server, home):
    write(home / "RUN/classes.json", json.dumps({"classes": [{"id": 0, "name": "sky"}]}))
    refused(server, home, "train.py", "RUN was trained on 1 classes (sky)")
    metadata = {"classes": {"classes": [{"id": 0, "name": "sky"}]}}
    save_result(home / "RUN", "segmentation", {"params": {"w": np.ones(2)}}, metadata)
    flags = ("--method=semantic-only", "--workdir=RUN")
    refused(server, home, "propagate.py", "was trained on 1 classes (sky)", *flags)


def test_training_names_the_flags_that_an_old_workdir_needs(server, home):
    old = {"segmentation": {"name": "light"}}  # the default of an earlier version
    write(home / "RUN/config.json", json.dumps(old))
    said = "(--config.segmentation.name=light), or another --workdir."
    refused(server, home, "train.py", said)
    write(home / "RUN/config.json", "{}")
    write(home / "RUN/labels.json", json.dumps({"fingerprint": "0", "frames": ["a 1"]}))
    refused(server, home, "train.py", "a 3 is new; give the same --data, --windows, --keyframes")


def test_training_takes_the_workdir_of_its_config_where_none_is_given(server, home):
    write(home / "runs/config/classes.json", json.dumps({"classes": [{"id": 0, "name": "sky"}]}))
    said = "runs/config was trained on 1 classes (sky)"
    refused(server, home, "train.py", said, "--workdir=NONE")


@pytest.mark.parametrize(
    ("change", "said", "flags"),
    [
        (lambda path: cut(path), "2.png is damaged or cut off", ()),
        (lambda path: save(path, np.zeros((17, 33, 3))), "33x17 but", ()),
        (lambda path: None, "--apart=5: the longest sequence of D has 5 frames", ("--apart=5",)),
    ],
)
def test_flow_that_cannot_be_dumped(server, home, change, said, flags):
    change(home / FRAME)
    before = tree(home)
    code, _, error = command(server, home, "wrp flow", *flags)
    assert code == 2 and error.startswith("wrp flow: ") and error.count("\n") == 1, error
    assert said in error
    assert tree(home) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_permissions(server, home):
    for path, program, said in (
        ("D/a/frames/2.png", "propagate.py", "2.png cannot be read"),
        ("D/a/labels", "train.py", "labels cannot be read"),
        (".", "propagate.py", "no permission"),
    ):
        mode = (home / path).stat().st_mode
        (home / path).chmod(0o500 if path == "." else 0)
        try:
            refused(server, home, program, said)
        finally:
            (home / path).chmod(mode)

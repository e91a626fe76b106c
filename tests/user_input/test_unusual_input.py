"""What is unusual but right, through the real commands."""

import shutil

import numpy as np
import pytest
from PIL import Image
from small_folder import CLASSES, classes, command, save, write


def test_what_is_unusual_but_right(server, home):
    """Grey frames, capital endings, links, hidden and foreign files, a frame of 17x31."""
    frames = home / "D/a/frames"
    (frames / "0.png").rename(frames / "0.PNG")
    Image.open(frames / "4.png").save(frames / "4.JPG", format="JPEG")
    (frames / "4.png").unlink()
    save(frames / "2.png", np.arange(31) + np.zeros((17, 1)))
    shutil.move(frames, home / "elsewhere")
    frames.symlink_to(home / "elsewhere")
    write(home / "D/a/labels/.DS_Store", "x")
    write(home / "D/a/labels/Thumbs.db", "x")
    (home / "D/a/labels/1.png").rename(home / "D/a/labels/1.PNG")
    code, _, error = command(server, home, "propagate.py", "--method=static")
    assert code == 0, error
    written = home / "OUT/a/labels"
    assert sorted(p.name for p in written.iterdir()) == [f"{t}.png" for t in range(5)]
    for t, key in enumerate((1, 1, 1, 3, 3)):
        truth = home / f"D/a/labels/{key}.{'PNG' if key == 1 else 'png'}"
        np.testing.assert_array_equal(
            np.array(Image.open(written / f"{t}.png")), np.array(Image.open(truth))
        )


def test_colours_seconds_lists_and_home(server, home):
    """Labels in colours, frames by seconds and by a list, a sequence ``#2``, ``~``."""
    (home / "D/a").rename(home / "D/#2")
    truth = np.array(Image.open(home / "D/#2/labels/1.png"))
    colors = np.zeros((256, 3), np.uint8)
    colors[[entry["id"] for entry in CLASSES]] = [entry["color"] for entry in CLASSES]
    save(home / "D/#2/labels/1.png", colors[truth])
    for t, name in ((1, "0.05"), (2, "0.1"), (3, "0.15"), (4, "0.2")):
        for kind in ("frames", "labels"):
            path = home / f"D/#2/{kind}/{t}.png"
            if path.exists():
                path.rename(path.with_name(f"{name}.png"))
    write(home / "keys.txt", "# one\n#2\t0.05\n")
    before = sorted(home.iterdir())
    flags = ("--method=static", "--keyframes=~/keys.txt", "--data=~/D", "--output=~/OUT")
    code, _, error = command(server, home, "propagate.py", *flags, HOME=str(home))
    assert code == 0, error
    assert "order" not in error and "missing" not in error
    assert sorted(home.iterdir()) == sorted([*before, home / "OUT"])
    for name in ("0", "0.05", "0.1", "0.15", "0.2"):
        written = np.array(Image.open(home / f"OUT/#2/labels/{name}.png"))
        np.testing.assert_array_equal(written, truth)


@pytest.mark.parametrize(
    ("size", "count", "key", "ids", "void"),
    [
        ((17, 31), 2, 1, (4, 255), 255),  # two frames, the last labelled; one class and void
        ((1, 9), 3, 0, tuple(range(60)), None),  # sixty classes, most of them never seen
    ],
)
def test_odd_videos_are_labelled(server, home, size, count, key, ids, void):
    rng = np.random.default_rng(0)
    shutil.rmtree(home / "D/a")
    for t in range(count):
        save(home / f"D/a/frames/{t}.png", rng.integers(0, 256, (*size, 3)))
    label = rng.choice(ids[-2:], size)
    save(home / f"D/a/labels/{key}.png", label)
    classes(home, [{"id": i, "name": f"c{i}", "void": i == void} for i in ids])
    code, _, error = command(server, home, "propagate.py")
    assert code == 0, error
    for t in range(count):
        written = np.array(Image.open(home / f"OUT/a/labels/{t}.png"))
        assert written.shape == size and set(np.unique(written)) <= set(ids[-2:])
    np.testing.assert_array_equal(np.array(Image.open(home / f"OUT/a/labels/{key}.png")), label)

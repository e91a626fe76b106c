"""Archives: what they may not hold, and that nothing of them is unpacked elsewhere."""

import stat
import zipfile

import pytest

from wrp_jax.data.tool_formats import tree
from wrp_jax.data.tool_formats.tree import open_tree
from wrp_jax.types import UserError


@pytest.mark.parametrize(
    "name", ["../out.png", "a/../../out.png", "/out.png", "C:/out.png", "a\\..\\out.png"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images/a.png", b"")
        info = zipfile.ZipInfo("x" * len(name))
        info.filename = info.orig_filename = name
        archive.writestr(info, b"x")
    with pytest.raises(UserError, match="a name that leads elsewhere"):
        open_tree(path)


def test_links_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    info = zipfile.ZipInfo("images/a.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b"/etc/hosts")
    with pytest.raises(UserError, match="a link: pack the files"):
        open_tree(path)


def test_sizes_are_bounded_before_anything_is_unpacked(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b" " * 100_000)
    with open_tree(path) as files, pytest.raises(UserError, match="100000 bytes and may have 1000"):
        files.read("a.json", limit=1000)


def test_a_cut_archive_and_a_damaged_file(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", b"abcdefgh")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"abcdefgh", b"abcdefgx"))
    with open_tree(path) as files, pytest.raises(UserError, match=r"a\.zip:a\.json is damaged"):
        files.read("a.json")


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tree, "MAX_FILES", 2)
    for name in "abc":
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match="more than 2 files"):
        open_tree(tmp_path)


def test_hidden_files_and_circles_of_links_are_passed_over(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").write_bytes(b"")
    (tmp_path / "a/.DS_Store").write_bytes(b"")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    with open_tree(tmp_path) as files:
        assert files.files == ("a/1.png",)


def test_names_with_a_dot_in_front_are_those_without(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("./a/b.json", b"content")
        archive.writestr("a/.hidden", b"")
    with open_tree(path) as files:
        assert files.files == ("a/b.json",)
        assert files.read("a/b.json") == files.inside("a").read("b.json") == b"content"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/b.json", b"other")
    with pytest.raises(UserError, match=r"two files 'a/b\.json'"):
        open_tree(path)

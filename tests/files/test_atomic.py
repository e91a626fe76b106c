import os
import stat

import pytest

from wrp_jax.files import atomic
from wrp_jax.files.atomic import replacing, write_atomically
from wrp_jax.files.lock import TEMPORARY, sole_writer
from wrp_jax.types import MachineError, UserError


def test_a_broken_write_leaves_nothing_new(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    write_atomically(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match=r"x\.png cannot be written: the disk takes no more"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_names_of_unfinished_files_cannot_be_foreseen(tmp_path):
    seen = []
    for _ in range(2):
        with replacing(tmp_path / "x") as temporary:
            assert TEMPORARY.fullmatch(temporary.name) and temporary.parent == tmp_path
            seen.append(temporary.name)
    assert len(set(seen)) == 2


def test_a_file_or_link_that_waits_under_the_name_is_not_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda n: "0" * 2 * n)
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    trap = tmp_path / "out" / f".wrp-{'0' * 16}.tmp"
    for make in (trap.symlink_to, trap.hardlink_to):
        make(victim)
        with pytest.raises(UserError, match="x cannot be written: File exists"):
            write_atomically(tmp_path / "out" / "x", b"new")
        assert victim.read_bytes() == b"mine"
        trap.unlink(missing_ok=True)


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "x"
    victim.write_bytes(b"mine")
    path.symlink_to(victim)
    write_atomically(path, b"new")
    assert victim.read_bytes() == b"mine"
    assert path.read_bytes() == b"new" and not path.is_symlink()


def test_permissions_are_those_of_any_new_file(tmp_path):
    write_atomically(tmp_path / "x", b"")
    (tmp_path / "y").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "xy"]
    assert modes[0] == modes[1]


def test_a_linked_folder_inside_of_the_output_is_refused(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(UserError, match="out/street is a link"), sole_writer(out, "--output"):
        (out / "street").symlink_to(elsewhere)
        write_atomically(out / "street" / "labels" / "x.png", b"new")
    assert list(elsewhere.iterdir()) == []
    (tmp_path / "given").symlink_to(elsewhere)
    with sole_writer(tmp_path / "given", "--output"):  # the output itself may be a link
        write_atomically(tmp_path / "given" / "street" / "x.png", b"new")
    assert (elsewhere / "street" / "x.png").read_bytes() == b"new"

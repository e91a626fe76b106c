"""Files that have not changed are known without being read."""

import os
import time

import pytest

from wrp_jax.files import digests
from wrp_jax.files.digests import DIGESTS_FILE, FileDigests
from wrp_jax.types import UserError

LONG_AGO = 10**18  # nanoseconds


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that are read."""
    names, original = [], digests.sha256

    def counted(path):
        names.append(os.path.basename(path))
        return original(path)

    monkeypatch.setattr(digests, "sha256", counted)
    return names


def write(path, text, age=LONG_AGO):
    path.write_text(text)
    os.utime(path, ns=(age, age))
    return path


def test_unchanged_files_are_not_read_again(tmp_path, hashed):
    files = [write(tmp_path / f"{i}.png", str(i)) for i in range(20_000)]
    memory = tmp_path / "out" / DIGESTS_FILE
    first = FileDigests(memory)
    before = [first.of(path) for path in files]
    first.save()
    assert len(hashed) == 20_000 and len(set(before)) == 20_000
    hashed.clear()
    begin = time.process_time()
    again = FileDigests(memory)
    assert [again.of(path) for path in files] == before
    again.save()
    assert not hashed
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize("change", ["size", "content", "times kept", "replaced"])
def test_every_change_is_noticed(tmp_path, hashed, change):
    path, memory = write(tmp_path / "a", "one"), tmp_path / DIGESTS_FILE
    first = FileDigests(memory)
    before = first.of(path)
    first.save()
    time.sleep(0.02)  # longer than a tick of the file system's clock
    if change == "size":
        write(path, "longer")
    elif change == "content":
        write(path, "two", LONG_AGO + 1)
    elif change == "times kept":
        write(path, "two")
    else:
        write(tmp_path / "b", "two").replace(path)
    assert FileDigests(memory).of(path) != before
    assert hashed == ["a", "a"]


def test_what_was_written_just_now_is_read_again(tmp_path, hashed):
    path, memory = tmp_path / "a", tmp_path / DIGESTS_FILE
    write(path, "one", time.time_ns())
    first = FileDigests(memory)
    first.of(path)
    first.of(path)
    first.save()
    assert hashed == ["a", "a"] and not memory.exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"a": 1}', b'{"a": [1, 2, 3, 4, "x"]}', b"\xff", b"[" * 99999]
)
def test_a_damaged_memory_counts_as_none(tmp_path, content):
    memory = tmp_path / DIGESTS_FILE
    memory.write_bytes(content)
    path = write(tmp_path / "a", "one")
    found = FileDigests(memory)
    expected = FileDigests().of(path)
    assert found.of(path) == expected
    found.save()
    assert FileDigests(memory).of(path) == expected


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        FileDigests().of(tmp_path / "none")

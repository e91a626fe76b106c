import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from names_only import NamesOnly

from wrp_jax.data import windows
from wrp_jax.data.folder import open_folder
from wrp_jax.data.frame_names import in_order
from wrp_jax.types import UserError, Window


def _read(tmp_path, folder, text, read=windows.read_windows):
    path = tmp_path / "list.txt"
    path.write_text(text)
    return read(path, open_folder(folder))


def test_windows_are_kept_as_given(tmp_path, folder):
    text = "# comment\n\na 000001 000000 000003\r\na\t000004\t000001\t000005\n"
    found = _read(tmp_path, folder, text)
    assert found == (
        Window("a", "000001", "000000", "000003"),
        Window("a", "000004", "000001", "000005"),
    )


@pytest.mark.parametrize(
    "text", ["\ufeffa 000001\n", "\ufeff# c\na 000001", "a\t000001\t\t\n", "\ta 000001  \t"]
)
def test_marks_of_editors_and_spreadsheets_are_passed_over(tmp_path, folder, text):
    found = _read(tmp_path, folder, text, windows.read_keyframes)
    assert found == (("a", "000001"),)


def test_keyframes_are_read(tmp_path, folder):
    found = _read(tmp_path, folder, "b 000000\na 000004\n", windows.read_keyframes)
    assert found == (("b", "000000"), ("a", "000004"))


@pytest.mark.parametrize("text", ["#2\t000001\n", "#2 000001\n", "# 2 a\n#a\n#2\t000001"])
def test_a_sequence_may_begin_with_the_sign_of_a_comment(tmp_path, folder, text):
    (folder / "a").rename(folder / "#2")
    assert _read(tmp_path, folder, text, windows.read_keyframes) == (("#2", "000001"),)
    with pytest.raises(UserError, match="does not have 2 fields"):
        _read(tmp_path, folder, "#2 is a sequence\n", windows.read_keyframes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a 000001 000000", "does not have 4 fields"),
        ("c 000001 000000 000003", "no sequence 'c'"),
        ("../videos/a 000001 000000 000003", "no sequence '../videos/a'"),
        ("a 000001 000000 000009", "no frame '000009'"),
        ("a 000001.png 000000 000003", "without .jpg or .png; write 000001"),
        ("a 1 000000 000003", "no frame '1' (names are written without .jpg or .png; write 0"),
        ("a ../labels/000001 000000 000003", "no frame"),
        ("a 000002 000000 000003", "has no label"),
        ("a 000004 000000 000003", "does not lie in 000000 ... 000003"),
        ("a 000001 000003 000000", "does not lie in"),
        ("a 000001 000000 000001", "of two windows"),
    ],
)
def test_bad_windows_are_named_by_line(tmp_path, folder, line, said):
    with pytest.raises(UserError, match=r"list\.txt:3(:| does)") as error:
        _read(tmp_path, folder, f"# first\na 000001 000000 000003\n{line}\n")
    assert said in str(error.value)


def test_bad_keyframes(tmp_path, folder):
    for text, said in (
        ("a 000002\n", "has no label"),
        ("a 000001\na 000001\n", "more than once"),
        ("# nothing\n", "is empty"),
        ("a\n", "does not have 2 fields: write <sequence> <frame>.$"),
        ("my clip 000001\n", "does not have 2 fields: .* with tabs between them"),
    ):
        with pytest.raises(UserError, match=said):
            _read(tmp_path, folder, text, windows.read_keyframes)
    with pytest.raises(UserError, match="cannot be read"):
        windows.read_windows(tmp_path / "none.txt", open_folder(folder))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        windows.read_windows(tmp_path / "binary.txt", open_folder(folder))


def test_default_windows_by_hand(folder):
    found = windows.windows_of_keyframes(open_folder(folder), None, 10)
    assert found == (
        Window("a", "000001", "000000", "000002"),  # 2 and 3 lie between 1 and 4
        Window("a", "000004", "000003", "000005"),
        Window("b", "000000", "000000", "000002"),
    )


@given(st.integers(2, 40), st.data(), st.integers(1, 12))
def test_each_frame_goes_to_its_nearest_keyframe(count, data, horizon):
    names = [f"{i:03d}" for i in range(count)]
    keys = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    source = NamesOnly(names, [names[k] for k in keys])
    found = windows.windows_of_keyframes(source, None, horizon)
    expected = {}
    for i in range(count):
        nearest = min(keys, key=lambda k: (abs(k - i), k))
        if abs(nearest - i) <= horizon:
            expected[names[i]] = names[nearest]
    pairs = [(name, w.key) for w in found for name in windows.window_frames(w, source)]
    assert dict(pairs) == expected and len(pairs) == len(expected)
    owner = windows.owners(found, source)
    assert {frame: w.key for (_, frame), w in owner.items()} == expected


def test_overlapping_windows_give_frames_to_the_nearest_and_then_the_earlier():
    names = [str(i) for i in range(9)]
    source = NamesOnly(names, names)
    late, early = Window("s", "6", "0", "8"), Window("s", "2", "0", "8")
    for order in ([late, early], [early, late]):
        owner = windows.owners(order, source)
        assert [owner["s", n].key for n in names] == ["2"] * 5 + ["6"] * 4


def test_nothing_labelled_one_frame_and_no_horizon():
    names = ["0", "1"]
    with pytest.raises(UserError, match="no labelled frame"):
        windows.windows_of_keyframes(NamesOnly(names, []), None, 10)
    with pytest.raises(UserError, match="one frame only"):
        windows.windows_of_keyframes(NamesOnly(["0"], ["0"]), None, 10)
    with pytest.raises(UserError, match="horizon"):
        windows.windows_of_keyframes(NamesOnly(names, names), None, 0)
    with pytest.raises(UserError, match="has no label"):
        windows.windows_of_keyframes(NamesOnly(names, ["0"]), [("s", "1")], 10)


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [
        (["0", "0.033", "0.067", "0.1", "0.133"], 0),
        (["-2", "-1", "0", "1", "2"], 0),
        ([0, 1, 2, 3], 0),
        ([6690, 6720, 6750], 0),
        ([0, 1, 2, 5, 6], 1),
        ([0, 1, 2, 3, 9], 0),
    ],
    ids=["seconds", "negative", "regular", "every 30th", "gap", "gap outside of the window"],
)
def test_missing_numbers_inside_a_window_are_told(numbers, gaps, caplog):
    names = [f"frame_{n}" for n in numbers]
    assert in_order(names).unsure is None
    with caplog.at_level(logging.WARNING):
        windows.windows_of_keyframes(NamesOnly(names, [names[1]]), None, 2)
    assert len(caplog.records) == gaps
    if gaps:
        assert "between frame_2 and frame_5" in caplog.text


def test_a_gap_in_seconds_is_told_and_a_listed_order_has_none(caplog):
    names = ["0", "0.1", "0.2", "0.5", "0.6"]
    windows.windows_of_keyframes(NamesOnly(names, ["0.2"]), None, 5)
    assert caplog.text.count("between 0.2 and 0.5") == 1 == len(caplog.records)
    windows.windows_of_keyframes(NamesOnly(["3", "1", "9", "2"], ["1"]), None, 5)
    assert len(caplog.records) == 1


def test_names_without_numbers_have_no_gaps(caplog):
    windows.windows_of_keyframes(NamesOnly(["a", "b", "z"], ["a"]), None, 2)
    assert not caplog.records


def test_window_frames_are_in_order():
    source = NamesOnly(["p", "q", "r", "s"], ["q"])
    assert windows.window_frames(Window("s", "q", "q", "s"), source) == ("q", "r", "s")

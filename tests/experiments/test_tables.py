"""The documents show the figures of results/, and no others."""

import pytest

from experiments import tables
from experiments.record import read_results

TOY = {"toy": {"figures": {"warp": {"ms": 2.9, "torch ms": 151.0}, "step": {"ms": 4.7}, "x": None}}}


def test_every_document_shows_its_figures():
    """A difference is mended by ``python -m experiments.tables``."""
    assert tables.main(["--check"]) == 0


def test_every_layout_stands_in_a_document():
    shown = {place for path in tables.documents() for place in tables.places(path.read_text())}
    assert {f"table {name}" for name in tables.read_layouts()} == {
        place for place in shown if place.startswith("table ")
    }


def test_every_result_stands_in_a_document():
    """Dead data goes: remove the file, or show it."""
    seen: set[str] = set()

    class Noted(dict):
        def __getitem__(self, name):
            seen.add(name)
            return super().__getitem__(name)

    results, layouts = Noted(read_results()), tables.read_layouts()
    for path in tables.documents():
        tables.render(path.read_text(), layouts, results)
    tables.drawings(results)
    assert set(results) == seen


def test_figures_ratios_and_differences():
    template = "{toy/warp/torch ms ÷ toy/warp/ms:.0f}x, {toy/step/ms − toy/warp/ms:+.1f} ms"
    assert tables.fill(template, TOY) == "52x, +1.8 ms"
    assert tables.fill("{ms:.1f} ms", TOY, "toy/warp") == "2.9 ms"
    assert tables.fill("{toy/x:.1f} ms", TOY) == ""


def test_the_day_and_the_machine_of_a_result():
    machine = {"accelerator": "NVIDIA H200", "cpu": None, "jax": "0.11.2"}
    toy = {"toy": {**TOY["toy"], "date": "2026-11-27", "machine": machine}}
    template = "{toy.accelerator}, {toy.date}, {toy.cpu}, {toy/step/ms:.1f} ms"
    assert tables.fill(template, toy) == "NVIDIA H200, 2026-11-27, , 4.7 ms"
    with pytest.raises(ValueError, match="there is no result none"):
        tables.fill("{none.date}", toy)


@pytest.mark.parametrize("way", ["toy/warp", "toy/none", "none/warp", "toy/warp/ms/more"])
def test_a_figure_that_there_is_not_is_named(way):
    with pytest.raises(ValueError, match=f"there is no figure {way}"):
        tables.fill(f"{{{way}:.1f}}", TOY)


def test_the_best_of_each_group_is_bold_ties_too():
    one = {"a": {"1": 86.44, "2": None}, "b": {"1": 86.36, "2": 3.0}, "c": {"1": 1.0, "2": 2.0}}
    layout = {
        "head": ["method", "1", "2, {one/b/2:.0f} frames"],
        "cells": ["{1:.1f}", "{2:.1f}"],
        "rows": [["a", "one/a"], ["b", "one/b"], ["c", "one/c"], {"row": ["d", "99.9", ""]}],
        "best": "max",
        "groups": [3, 1],
    }
    drawn = tables.table(layout, {"one": {"figures": one}}).splitlines()
    assert drawn[0] == "| method | 1 | 2, 3 frames |" and drawn[1] == "|---|---|---|"
    assert drawn[2:] == [
        "| a | **86.4** | |",
        "| b | **86.4** | **3.0** |",
        "| c | 1.0 | 2.0 |",
        "| d | 99.9 | |",
    ]


def test_places_are_filled_and_the_rest_stays():
    text = "It takes <!-- value: {toy/warp/ms:.1f} ms -->9 ms<!-- end -->, says\n<!-- a remark -->"
    filled = tables.render(text, {}, TOY)
    assert filled == text.replace("9 ms", "2.9 ms")
    assert tables.render(filled, {}, TOY) == filled
    with pytest.raises(ValueError, match="table none: there is no such layout"):
        tables.render("<!-- table: none -->\n<!-- end -->", {}, TOY)
    with pytest.raises(ValueError, match="begins a line"):
        tables.render("About\n  <!-- value: {toy/warp/ms:.1f} -->3<!-- end --> ms", {}, TOY)


def test_a_difference_fails_the_check(tmp_path, monkeypatch, capsys):
    document = tmp_path / "README.md"
    document.write_text("About <!-- value: {toy/warp/ms:.1f} -->3.0<!-- end --> ms")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "documents", lambda: [document])
    monkeypatch.setattr(tables, "read_results", lambda: TOY)
    monkeypatch.setattr(tables, "drawings", lambda results: {})
    assert tables.main(["--check"]) == 1 and "3.0" in document.read_text()
    assert "README.md: value {toy/warp/ms:.1f} differs" in capsys.readouterr().out
    assert tables.main([]) == 0 and ">2.9<" in document.read_text()
    assert tables.main(["--check"]) == 0

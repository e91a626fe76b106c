"""Every row of the fault table names tests, and each of them is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/RELIABILITY.md").read_text()
ROWS = re.search(r"<!-- table: faults -->\n\n.*?\n\|---.*?\n(.*?)\n\n<!-- end -->", TEXT, re.DOTALL)
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


def test_every_row_names_a_test():
    assert ROWS is not None
    rows = ROWS[1].splitlines()
    assert len(rows) >= 15
    for row in rows:
        tested = row.split("|")[2]
        assert "::test_" in tested or tested.strip().startswith("the same"), row


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_the_test_is_there(file, name):
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{name}"

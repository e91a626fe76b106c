"""Damage of every kind to every file that is read: the value that was written, or one sentence."""

from __future__ import annotations

import os

from hostile import in_a_program

MUTATIONS = int(os.environ.get("WRP_JAX_MUTATIONS", "600"))
"""Per reader: more than ten thousand in all, in a quarter of a minute."""


def test_damage_gives_a_value_or_a_sentence(tmp_path):
    found = in_a_program("hostile_readers", "damaged", str(tmp_path), MUTATIONS)
    assert len(found) == 15
    for name, (given, refused) in found.items():
        assert given > 0.9 * MUTATIONS, name
        # A damaged result of one's own window is made again without a word.
        assert refused > given // 10 or "window" in name, name


def test_a_flipped_bit_never_gives_another_value_where_the_format_has_sums(tmp_path):
    found = in_a_program("hostile_readers", "flipped", str(tmp_path), MUTATIONS)
    assert all(refused > given // 2 for given, refused in found.values()), found

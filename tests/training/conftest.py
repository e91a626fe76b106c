"""Puts the golden fixtures, and what runs a deep network layer by layer, on the path."""

import pathlib
import sys

TESTS = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "golden"), str(TESTS / "models" / "segmentation")]

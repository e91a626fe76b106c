"""Scores of an output, as they are recorded."""

import json

from experiments.scores import scores


def test_scores_by_method_and_distance(tmp_path):
    found = {"miou": {"1": 86.4, "2": 85.8}, "mean": 86.1, "mean_with_void": 80.0, "more": 1}
    (tmp_path / "metrics.json").write_text(json.dumps({"methods": {"warp-refine": found}}))
    assert scores(tmp_path) == {"warp-refine": {"1": 86.4, "2": 85.8, "mean": 86.1, "+void": 80.0}}

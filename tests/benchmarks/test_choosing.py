"""What a step of warp-refine sets aside."""

import re

from benchmarks import choosing


def test_tiles_take_less_memory_than_the_whole_frame(capsys):
    choosing.memory(600, 640, 4)
    found = [int(n) for n in re.findall(r"(\d+) MB set aside", capsys.readouterr().out)]
    assert len(found) == 2 and found[0] < found[1] / 2

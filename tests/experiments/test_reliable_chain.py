import numpy as np

from experiments.reliable_chain import WAYS, chains
from wrp_jax.types import clip_of


def test_what_matches_brings_a_lost_chain_back():
    rng = np.random.default_rng(0)
    still = np.repeat(rng.integers(0, 256, (1, 20, 24, 3), dtype=np.uint8), 8, 0)

    def motion(clip, seen, source):
        """Nothing moves; between neighbours the flow says something else, once."""
        flow = np.zeros((len(seen), 20, 24, 2), np.float32)
        flow[..., 0] = 3.0 * (sorted((*seen, *source)) == [2, 3])
        return flow

    found = chains(clip_of(still), motion)
    assert found.keys() == WAYS.keys()
    last = {way: np.abs(np.asarray(flows[-1]))[0, 4:-4, 4:-6].max() for way, flows in found.items()}
    assert last["composed"] == 3.0 and last["direct"] == 0.0
    assert last["step or direct, photometric"] == last["all, photometric"] == 0.0

import numpy as np
from training.refiner.toy_video import Source, segment, toy

from wrp_jax.config import MotionConfig
from wrp_jax.data.flow_files import write_flow
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation.chooser.agreement import count_agreement
from wrp_jax.training.refiner.examples.calibrate import (
    ReliabilityInWindows,
    match_recalls,
    measure_reliability,
)

VOID = (False, False, False, True)


def blocky(rng, size=64):
    label = rng.integers(0, 4, (8, 8)).repeat(size // 8, 0).repeat(size // 8, 1)
    return label, np.eye(4, dtype=np.float32)[label]


def reached(probs, label):
    found = count_agreement(probs.argmax(-1), label, len(VOID))
    return np.where(VOID, np.nan, found.both / np.maximum(found.carried, 1))


def test_output_that_is_too_good_is_brought_down_class_by_class(rng):
    label, probs = blocky(rng)
    goals = np.array([0.9, 0.7, 0.5, np.nan])
    wrong = [match_recalls(rng, probs, label, goals) for _ in range(20)]
    got = np.array([reached(w, label) for w in wrong])
    np.testing.assert_allclose(got[:, :3].mean(0), goals[:3], atol=0.1)
    np.testing.assert_allclose(wrong[0].sum(-1), 1.0)
    for w in wrong:
        np.testing.assert_array_equal(w[label == 3], probs[label == 3])


def test_output_that_is_too_poor_is_brought_up(rng):
    label, probs = blocky(rng)
    poor = 0.8 * np.roll(probs, 1, axis=-1) + 0.2 * probs
    goals = np.array([0.8, 0.6, 0.3, np.nan])
    helped = [match_recalls(rng, poor, label, goals) for _ in range(20)]
    got = np.array([reached(h, label) for h in helped])
    np.testing.assert_allclose(got[:, :3].mean(0), goals[:3], atol=0.02)
    for h in helped:
        np.testing.assert_array_equal(h[label == 3], poor[label == 3])
    np.testing.assert_allclose(helped[0].sum(-1), 1.0, atol=1e-5)


def test_a_network_does_not_draw_borders_to_the_pixel(rng):
    label, _ = blocky(rng)
    nothing = np.tile(np.array([0.0, 0.0, 0.0, 1.0], np.float32), (*label.shape, 1))
    helped = [match_recalls(rng, nothing, label, np.array([1.0, 1.0, 1.0, np.nan])) for _ in "abc"]
    got = np.array([reached(h, label)[:3] for h in helped])
    assert got.min() > 0.5 and got.max() < 1.0


def test_where_the_truth_is_unknown_the_output_stays_what_it_was(rng):
    label = np.full((32, 32), -1)
    label[:, :16] = 0
    probs = np.broadcast_to(np.eye(4, dtype=np.float32)[2], (32, 32, 4))
    helped = match_recalls(rng, probs, label, np.array([0.9, 0.9, 0.9, np.nan]))
    np.testing.assert_array_equal(helped[:, 16:], probs[:, 16:])
    np.testing.assert_allclose((helped[:, :16].argmax(-1) == 0).mean(), 0.9, atol=0.02)


def test_a_clip_is_made_as_reliable_as_a_window_of_its_own_sequence(rng):
    windows = np.arange(6, dtype=np.float32).reshape(3, 1, 2)
    reliability = ReliabilityInWindows(("a", "b", "a"), windows, np.full((1, 2), 9.0, np.float32))
    assert {float(reliability.sample(rng, "a")[0, 0]) for _ in range(30)} == {0.0, 4.0}
    assert {float(reliability.sample(rng, "c")[0, 0]) for _ in range(30)} == {0.0, 2.0, 4.0}
    assert ReliabilityInWindows((), windows[:0], reliability.overall).sample(rng, "a")[0, 0] == 9.0


def test_reliability_is_measured_along_flow_from_files(rng, tmp_path):
    source = Source(rng)  # frames that are all the same, so nothing moves
    still = np.zeros((40, 72, 2), np.float32)
    for kind in ("forward", "backward"):
        for name in source.frame_names("s"):
            write_flow(tmp_path / "s" / kind / f"{name}.flo", still)
    known, _, windows = toy(source, "00")
    motion = build_motion(MotionConfig(name="precomputed", folder=str(tmp_path)))
    found = measure_reliability(known, source, windows, motion, segment)
    # g_ψ calls everything the first class: all of it is found, as precise as it is frequent.
    share = (source.truth == 0).mean()
    assert found.sequences == ("s",)
    np.testing.assert_allclose(found.windows[0, 0], [1.0, share], atol=0.01)
    np.testing.assert_allclose(found.windows[0, 1, 0], 0.0, atol=0.01)

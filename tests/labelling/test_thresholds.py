"""Thresholds that labels which were left out choose."""

import numpy as np
import pytest

from wrp_jax.files.verify import verify
from wrp_jax.labelling import thresholds
from wrp_jax.labelling.finish import finish
from wrp_jax.labelling.plan import THRESHOLDS_FILE, claim, make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.labelling.thresholds import (
    Choice,
    check_choice,
    choose,
    chosen_thresholds,
    read_choice,
    with_tau,
    write_choice,
)
from wrp_jax.types import UserError


@pytest.fixture
def make(make_folder, tmp_path, config, monkeypatch):
    """``make(keys)`` plans ten frames; segmentation is right, and nothing moves but the square."""
    root = make_folder({"a": 10})
    monkeypatch.setattr(thresholds, "TAUS", (0.3, 0.5, 1.8))

    def plan(keys=("001", "006"), method="warp-inpaint", tau=1.8):
        listed = tmp_path / "keys.txt"
        listed.write_text("".join(f"a {key}\n" for key in keys))
        config.propagation.tau = tau
        return make_plan(
            config, Request(str(root), tmp_path / "out", method, keyframes=str(listed))
        )

    return plan


@pytest.mark.parametrize("keys", [("001", "006"), ("009",)])
def test_a_tau_that_sees_what_has_changed_is_chosen(make, networks, keys):
    """By a gap between two labels, or by a round trip."""
    found = choose(make(keys), networks)
    assert set(found.tau_curve) == {0.3, 0.5, 1.8}
    if len(keys) == 2:
        assert found.tau == 0.3 and found.tau_curve[0.3] > found.tau_curve[1.8] + 5
        assert not found.is_flat
    assert found.confidence_curve[0.0][0] == 100.0
    assert 0 <= found.min_confidence < 1
    assert not make().output.exists()


def test_the_tau_of_the_options_stays_where_the_curve_is_flat(make, networks):
    found = choose(make(tau=0.4), networks)
    assert found.tau == 0.4 and set(found.tau_curve) == {0.3, 0.4, 0.5, 1.8}


def test_the_choice_is_written_read_back_and_told(make, networks):
    plan = make()
    assert read_choice(plan.output) is None and chosen_thresholds(plan) is None
    plan = with_tau(plan, choice := choose(plan, networks))
    assert plan.config.propagation.tau == choice.tau == 0.3
    claim(plan, networks.digest)
    write_choice(plan.output, choice)
    read = read_choice(plan.output)
    assert read is not None and read.tau == choice.tau
    assert read.tau_curve == pytest.approx(choice.tau_curve, abs=1e-3)
    assert read.min_confidence == choice.min_confidence
    notes = finish(plan, label_windows(plan, networks))["notes"]
    assert any("τ = 0.3 was chosen" in note for note in notes)
    assert '<svg class="chart threshold"' in (plan.output / "report.html").read_text()
    assert verify(plan.output) == (verify(plan.output)[0], [])
    assert THRESHOLDS_FILE in {path.name for path in plan.output.iterdir()}
    (plan.output / THRESHOLDS_FILE).write_text("option,value\n")
    with pytest.raises(UserError, match="remove it, and τ is chosen again"):
        read_choice(plan.output)


def test_least_confidence_drops_what_is_mostly_wrong():
    pixels = np.zeros((2, 256), np.int64)
    pixels[:, [40, 120, 250]] = [[100, 100, 800], [20, 60, 790]]
    least, curve = thresholds._least(pixels)
    assert 40 / 255 < least <= 120 / 255
    assert curve[least] == pytest.approx((90.0, 100 * 850 / 900))
    pixels[1] = pixels[0]
    assert thresholds._least(pixels)[0] == 0.0


def test_sentences_say_where_the_curve_is_flat():
    curve = {0.1: 60.0, 0.3: 80.0, 0.5: 80.1, 1.8: 80.2}
    levels = {0.0: (100.0, 90.0), 0.4: (95.0, 93.0)}
    first, second = Choice(0.5, curve, 0.4, levels).sentences()
    assert "flat: from 0.3 on" in first and "--min_confidence=0.4" in second
    assert "None is 0.3 better, so the τ of the config stays." in first
    first, _ = Choice(0.5, {**curve, 1.8: 70.0}, 0.4, levels).sentences()
    assert "flat" not in first and "stays" not in first
    _, second = Choice(0.5, curve, 0.0, levels).sentences()
    assert second.startswith("At no confidence are") and "90.0 % of the pixels" in second


def test_a_method_without_tau_is_refused(make):
    with pytest.raises(UserError, match="motion-only has no τ"):
        check_choice(make(method="motion-only"))


def test_damaged_files_are_left_out_of_the_choice(make, networks, monkeypatch, caplog):
    """Their windows are listed as failed; the others go on, and so does the choice."""
    keys, read = ("000", "003", "006", "009"), thresholds.read_frame
    whole = choose(make(keys), networks)

    def broken(source, sequence, name):
        if name in damaged:
            raise UserError(f"{name} is damaged.")
        return read(source, sequence, name)

    monkeypatch.setattr(thresholds, "read_frame", broken)
    damaged = {"004"}
    found = choose(make(keys), networks)
    assert found.confidence_curve.keys() == whole.confidence_curve.keys()
    assert "004 is damaged. It plays no part" in caplog.text
    damaged = {"001", "004", "007"}
    with pytest.raises(UserError, match="001 is damaged"):
        choose(make(keys), networks)


def test_a_tau_of_many_digits_is_read_back_as_it_was(tmp_path):
    tau = 0.123456789
    curve, levels = {tau: 80.0, 0.5: 80.0}, {0.0: (100.0, 90.0)}
    write_choice(tmp_path, Choice(tau, curve, 0.0, levels))
    assert read_choice(tmp_path) == Choice(tau, curve, 0.0, levels)

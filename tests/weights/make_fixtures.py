"""Writes the committed checkpoints of ``tests/weights/fixtures`` (with torch, once, by hand)."""

import collections
import pathlib

import torch

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def state_dict() -> dict[str, torch.Tensor]:
    """Every kind of tensor a checkpoint may hold: shared, transposed, sliced, empty, scalar."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return collections.OrderedDict(
        {
            "module.whole": base,
            "module.transposed": base.t(),
            "module.slice": base[1:3, ::2],
            "module.parameter": torch.nn.Parameter(torch.tensor([1.5, -2.0])),
            "module.half": torch.tensor([0.5, 65504.0], dtype=torch.float16),
            "module.bfloat16": torch.tensor([1.0, -3.140625], dtype=torch.bfloat16),
            "module.double": torch.tensor([[1e300]], dtype=torch.float64),
            "module.long": torch.tensor(2**40),
            "module.byte": torch.tensor([0, 255], dtype=torch.uint8),
            "module.bool": torch.tensor([True, False]),
            "module.empty": torch.zeros(0, 3),
        }
    )


def main() -> None:
    checkpoint = {
        "epoch": 3,
        "arch": "tiny",
        "state_dict": state_dict(),
        "optimizer": {"state": {0: {"step": 1, "exp_avg": torch.ones(2)}}, "param_groups": []},
        "mean_iu": 0.5,
    }
    FIXTURES.mkdir(exist_ok=True)
    torch.save(checkpoint, FIXTURES / "zip.pth")
    torch.save(checkpoint, FIXTURES / "legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()

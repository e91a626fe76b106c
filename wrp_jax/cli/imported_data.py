"""``--data`` of an annotation tool's export, and a video with ``--label``: imported beside the
results, as ``wrp import`` does it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from wrp_jax.files.shards import Shard
from wrp_jax.labelling.request import Request
from wrp_jax.types import UserError


@contextlib.contextmanager
def imported_data(
    data: str, output: Path, shard: Shard, *, labelled: bool = True, dry_run: bool = False
) -> Iterator[str]:
    """What to read in the place of ``--data``, see ``tool_formats.imported``.

    Args:
      data: value of the flag.
      output: where the results go.
      shard: others than all wait for each other.
      labelled: whether labels will be read.
      dry_run: nothing is written to ``output``.

    Raises:
      UserError: an export that cannot be imported; see there.
    """
    from wrp_jax.data.tool_formats.imported import imported

    shared = not shard.is_all
    with imported(
        data, output, labelled=labelled, dry_run=dry_run, shared=shared, say=_say
    ) as found:
        yield found


@contextlib.contextmanager
def imported_request(request: Request, labels: Sequence[str]) -> Iterator[Request]:
    """The request with the folder as its data that its export or its video has been imported to.

    Args:
      request: whose data is a video file or a folder of frames, where there are labels.
      labels: values of ``--label``.

    Raises:
      UserError: the export, the video or a label cannot be read or do not fit together, the
        request is wrong whatever they are, or the output holds files of others; nothing has been
        written then.
    """
    from wrp_jax.data.tool_formats.imported import IMPORTED, export_at, imported
    from wrp_jax.files.verify import check_free
    from wrp_jax.labelling.plan import RESERVED, TRAINING, check_request

    output, shared = request.output, not request.shard.is_all
    if labels and not Path(request.data).exists():
        raise UserError(
            f"--data={request.data} is not there: --label goes with a video file or a folder of "
            "its frames."
        )
    if labels and shared:
        raise UserError("--label labels one video, which one process does: leave --num_shards out.")
    if not export_at(request.data, output, labels):
        yield request
        return
    check_request(request)
    if not shared:
        check_free(output, sorted(RESERVED - {IMPORTED, TRAINING}))
    with imported(
        request.data, output, labels, dry_run=request.dry_run, shared=shared, say=_say
    ) as data:
        yield dataclasses.replace(request, data=data)


def _say(text: str) -> None:
    print(text, file=sys.stderr)

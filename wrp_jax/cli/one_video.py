"""``--label``: one video and its labels, brought in as ``wrp import`` does."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from wrp_jax.labelling.request import Request
from wrp_jax.types import UserError


@contextlib.contextmanager
def imported(request: Request, labels: Sequence[str]) -> Iterator[Request]:
    """Writes the video and its labels as a folder; the request with that folder as its data.

    It lies in the output, or of a dry run in a folder that goes again. What is there as it was
    written is kept, so that the same command goes on.

    Args:
      request: whose data is a video file or a folder of frames, where there are labels.
      labels: values of ``--label``; without any the request is given back as it is.

    Raises:
      UserError: the video or a label cannot be read or do not fit together, the request is wrong
        whatever they are, or the output holds files of others; nothing has been written then.
    """
    if not labels:
        yield request
        return
    from wrp_jax.data.tool_formats.import_project import import_project
    from wrp_jax.files.lock import sole_writer
    from wrp_jax.files.output import check_output
    from wrp_jax.files.records import check_free
    from wrp_jax.labelling.plan import IMPORTED, RESERVED, TRAINING, check_request

    source, output = Path(request.data), request.output
    if not source.exists():
        raise UserError(
            f"--data={request.data} is not there: --label goes with a video file or a folder of "
            "its frames."
        )
    if not request.shard.is_all:
        raise UserError("--label labels one video, which one process does: leave --num_shards out.")
    check_request(request)
    check_output(output, source if source.is_dir() else None)
    check_free(output, sorted(RESERVED - {IMPORTED, TRAINING}))
    with contextlib.ExitStack() as stack:
        folder = output / IMPORTED
        if request.dry_run:
            temporary = tempfile.TemporaryDirectory(prefix="wrp-dry-run-")
            folder = Path(stack.enter_context(temporary)) / IMPORTED
            import_project(source, folder, labels=labels)
        else:
            with sole_writer(output, "--output"):  # a run that is at work reads what is there
                said = import_project(source, folder, labels=labels)
            print(said, file=sys.stderr)
        yield dataclasses.replace(request, data=str(folder))

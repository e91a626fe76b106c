"""Writes what g_ψ says of every frame to files, in the form that ``precomputed`` reads.

``png``: the likeliest class as palette PNG and its confidence, 8 bits each; nothing is left out
below a threshold, so that one set serves many: ``--config.propagation.semantic_confidence`` applies
when it is read. ``npz``: probabilities and features, which read back exactly. What is there as it
was written, of a frame as it was, is kept: the same command goes on where it was stopped. A frame
that cannot be read is listed in ``failures.jsonl``, the others are finished.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from wrp_jax import interrupts
from wrp_jax.config import Config, inference_options
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import input_folder, open_source
from wrp_jax.data.source import VideoSource, validate
from wrp_jax.data.source_digests import SourceDigests
from wrp_jax.data.split import job_of_source, split_source
from wrp_jax.data.windows import whole_sequences
from wrp_jax.files.failures import FAILURES_FILE, Failures
from wrp_jax.files.lock import sole_writer
from wrp_jax.files.output import (
    check_apart,
    check_output,
    check_run,
    check_sequences,
    claim_output,
)
from wrp_jax.files.records import Records, fingerprint, run_mark
from wrp_jax.files.shards import WHOLE, Shard, remove_shards, work_in_shards
from wrp_jax.files.verify import check_free
from wrp_jax.labelling.background import Background, ReadAhead
from wrp_jax.progress import Progress
from wrp_jax.segmentation.predictions import PRECOMPUTED, Predictions, write_arrays
from wrp_jax.types import Segment, UserError, clip_of

RESULT_VERSION = 1
"""Raised when the program predicts otherwise from the same: files are made again."""


def write_predictions(
    segment: Segment,
    source: VideoSource,
    output: Path,
    kind: str,
    failures: Failures | None = None,
    limit: int | None = None,
    shard: Shard = WHOLE,
) -> int:
    """Writes the predictions of all frames of a source that are not there yet, and no longer
    keeps those of frames that the source does not have any more, or that cannot be read.

    Args:
      segment: g_ψ.
      source: the video; frames of a sequence are of one size.
      output: DIR.
      kind: of ``predictions.FORMATS``.
      failures: lists the frames that cannot be read; those of the output if absent.
      limit: predicts the first so many of those sequences only.
      shard: whose sequences are predicted.

    Returns:
      How many frames were written.
    """
    failures = Failures(output, shard) if failures is None else failures
    writer, at_once = LabelWriter(output, source.classes), 4 * jax.local_device_count()
    survey = Survey(source, output, kind, failures, limit, shard)
    records, files, marks = survey.records, survey.all, survey.marks
    places, rest = survey.asked, survey.missing
    parts = [{"sequence": s, "frame": name} for s, name in files]
    failures.keep_only(parts)
    if shard.is_all:
        records.keep_only(path for paths in files.values() for path in paths)
    records.tell()
    records.save()
    done, written = len(places) - len(rest), 0

    def write(sequence: str, names: Sequence[str], probs: np.ndarray, features: np.ndarray) -> None:
        for i, name in enumerate(names):
            if kind == "npz":
                write_arrays(output, sequence, name, probs[i], features[i])
            else:
                sure = np.clip(probs[i].max(-1), 0.0, 1.0)
                writer.write(sequence, name, probs[i].argmax(-1), sure)
            records.add(marks[sequence, name], files[sequence, name])

    readable = [place for place in rest if place in marks]
    order = {place: i for i, place in enumerate(readable)}
    with (
        ReadAhead(lambda i: source.frame(*readable[i]), len(readable), at_once) as read,
        Background(threads=1) as background,  # one: the records know no other thread
        Progress("predicting", len(places), done) as progress,
    ):
        for sequence in survey.sequences:
            names = [name for s, name in rest if s == sequence]
            for start in range(0, len(names), at_once):
                interrupts.check()
                frames = {}
                for name in names[start : start + at_once]:
                    if (sequence, name) in order:
                        with failures.of(sequence=sequence, frame=name):
                            frames[name] = read(order[sequence, name])
                    if name in frames:
                        failures.succeeded(sequence=sequence, frame=name)
                    else:
                        background.run(records.remove, files[sequence, name])
                if not frames:
                    continue
                clip = clip_of(np.stack(list(frames.values())), sequence, tuple(frames))
                probs, features = segment(clip, range(clip.count))
                background.run(write, sequence, clip.names, np.asarray(probs), np.asarray(features))
                done, written = done + len(frames), written + len(frames)
                progress.update(done)
    failures.keep_only(parts)  # in order
    failures.save()
    records.save()
    return written


class Survey:
    """Which frames have predictions already, of frames as they are. Writes nothing.

    Attributes:
      records: of the output.
      sequences: of the shard.
      all: by sequence and name of every frame of these the files of its prediction.
      asked: sequence and name of the frames that are to have one.
      marks: fingerprints of what theirs depend on; frames that cannot be read have none.
      missing: of the frames asked for those without one.
    """

    def __init__(
        self,
        source: VideoSource,
        output: Path,
        kind: str,
        failures: Failures,
        limit: int | None = None,
        shard: Shard = WHOLE,
        run: Mapping[str, Any] | None = None,
    ):
        """Looks at every frame that is asked for; the arguments are ``write_predictions``'.

        ``run`` is what ``run.json`` is going to say; None: what it says.
        """
        writer, self.records = LabelWriter(output, source.classes), Records(output, shard)
        digests = SourceDigests(source, self.records.digests)
        self.sequences = split_source(source, shard.count)[shard.index]
        places = [(s, name) for s in self.sequences for name in source.frame_names(s)]
        self.all = {place: _files(writer, kind, *place) for place in places}
        within = frozenset(self.sequences[:limit])
        self.asked = [place for place in places if place[0] in within]
        self.marks: dict[tuple[str, str], str] = {}
        mark = run_mark(output, run=run)
        for s, name in self.asked:
            with failures.of(sequence=s, frame=name):
                self.marks[s, name] = fingerprint(RESULT_VERSION, mark, digests.frame(s, name))
        self.missing = [place for place in self.asked if not self._is_current(place)]

    def _is_current(self, place: tuple[str, str]) -> bool:
        # All are looked at, so that each that was changed is told.
        mark = self.marks.get(place, "")
        return all([self.records.is_current(path, mark) for path in self.all[place]])


def _unfinished(source: VideoSource, output: Path, kind: str, count: int) -> tuple[int, ...]:
    """Shards with a frame that neither has a prediction nor has failed; opens none."""
    writer, failures = LabelWriter(output, source.classes), Failures(output)

    def done(sequence: str, name: str) -> bool:
        there = all(path.is_file() for path in _files(writer, kind, sequence, name))
        return there or {"sequence": sequence, "frame": name} in failures

    def finished(sequences: tuple[str, ...]) -> bool:
        # From the end: a shard that is at work has not come there yet.
        names = ((s, name) for s in reversed(sequences) for name in reversed(source.frame_names(s)))
        return all(itertools.starmap(done, names))

    parts = enumerate(split_source(source, count))
    return tuple(index for index, sequences in parts if not finished(sequences))


def _files(writer: LabelWriter, kind: str, sequence: str, name: str) -> tuple[Path, ...]:
    if kind == "png":
        return writer.label_path(sequence, name), writer.confidence_path(sequence, name)
    return (Predictions.array_path(writer.output, sequence, name),)


class Prediction(NamedTuple):
    """All that ``wrp predict`` does, settled and checked before it writes anything.

    Attributes:
      segment: g_ψ.
      source: the video.
      run: what the files depend on beside the frames, JSON values.
    """

    segment: Segment
    source: VideoSource
    run: dict[str, Any]


def prepare(
    config: Config,
    data: str,
    workdir: Path | None,
    output: Path,
    kind: str,
    shard: Shard = WHOLE,
) -> Prediction:
    """Checks what was given to the command, and loads the network.

    Args:
      config: ``config.segmentation`` is read.
      data: spec of the video.
      workdir: of ``train.py``; None where ``config.segmentation.weights`` is all there is.
      output: DIR.
      kind: of ``predictions.FORMATS``.
      shard: whose sequences are predicted.

    Raises:
      UserError: a mistake in what was given.
    """
    # Flax comes with it, which reading files does not need.
    from wrp_jax.runs.segmentation import load_segmenter, segmenter_digest

    if config.segmentation.name == PRECOMPUTED:
        raise UserError(
            "config.segmentation.name is precomputed, whose predictions are files already: name "
            "the network that is to be asked."
        )
    source = open_source(data)
    check_output(output, input_folder(data))
    check_apart(output, workdir)
    check_sequences(source.name, source.sequences, [FAILURES_FILE])
    own = split_source(source, shard.count)[shard.index]
    check_free(output, own)
    windows = whole_sequences(source, own)
    validate(source, windows, labels=())
    segment = load_segmenter(workdir, config, source, windows, keep_features=kind == "npz")
    run = {
        "format": kind,
        "weights": segmenter_digest(workdir, config, source).hex(),
        "classes": classes_to_json(source.classes),
        **inference_options(config.segmentation),
    }
    return Prediction(segment, source, run)


def predict(
    config: Config,
    data: str,
    workdir: Path | None,
    output: Path,
    kind: str,
    failures: Failures | None = None,
    limit: int | None = None,
    shard: Shard = WHOLE,
) -> int:
    """The command without its flags; see the module.

    Args:
      config: ``config.segmentation`` is read.
      data: spec of the video.
      workdir: see ``prepare``.
      output: DIR.
      kind: of ``predictions.FORMATS``.
      failures: lists the frames that cannot be read; those of the output if absent.
      limit: predicts the first so many of those sequences only.
      shard: whose sequences are predicted.

    Returns:
      How many frames were written.

    Raises:
      UserError: a mistake in what was given; nothing has been written then.
    """
    segment, source, run = prepare(config, data, workdir, output, kind, shard)
    write = functools.partial(write_predictions, segment, source, output, kind)
    if shard.is_all:
        with sole_writer(output, "--output"):
            claim_output(output, run)
            written = write(failures, limit)
            remove_shards(output)
        return written
    written = []
    work_in_shards(
        output,
        shard,
        job_of_source(data, source),
        begin=lambda: claim_output(output, run),
        check=lambda: check_run(output, run),
        work=lambda: written.append(write(failures, limit, shard)),
        unfinished=lambda: _unfinished(source, output, kind, shard.count),
        merge=lambda: write(limit=0),
    )
    return sum(written)

"""``slts offsets`` of videos: verdicts, pictures and the page, and repair."""

import json
from functools import partial
from pathlib import Path

from slts.commands.offset_rows import (
    counted_rows,
    given_offsets,
    load_system,
    method_of,
    say_summary,
    streams_of,
    tell,
    write_table,
)
from slts.errors import UserError

CANNOT_TELL = 3
"""Exit status where no video fails but one cannot be told."""


def judge_videos(config, out: Path) -> int:
    """Rows, pictures, page and verdicts of videos."""
    from slts.files import write_whole
    from slts.offsets.verdict import FAIL, PASS, STANDARDS, judge
    from slts.reporting.offset_page import curve_figure, offset_page

    limits = STANDARDS.get(config.standard)
    estimator = _video_estimator(config)
    findings, verdicts = [], []
    for finding in _findings(config, estimator):
        findings.append(finding)
        verdict = judge(finding.course, finding.sure, limits) if limits else None
        verdicts.append(verdict)
        _say(config, finding, verdict)
    rows = [finding.row() for finding in findings]
    write_table(rows, out)
    say_summary(config, rows, estimator.run.task.offset_step_ms, out)
    if len(findings) == 1 and findings[0].curve and len(findings[0].curve.windows) > 1:
        write_whole(out.with_suffix(".png"), curve_figure(findings[0], limits))
        tell(config, f"the curve is in {out.with_suffix('.png')}")
    if config.report:
        page = offset_page(findings, verdicts, limits, Path(config.report))
        write_whole(Path(config.report), page.encode(errors="backslashreplace"))
    if not limits:
        return 0 if any(finding.curve for finding in findings) else 1
    words = {verdict.word for verdict in verdicts}
    return 1 if FAIL in words else 0 if words == {PASS} else CANNOT_TELL


def _say(config, finding, verdict) -> None:
    """One line a video, or its JSON object."""
    from slts.offsets.alignment import described

    if config.json:
        told = {"standard": config.standard, "verdict": verdict.word, "worst_ms": verdict.worst_ms} if verdict else {}
        if verdict and verdict.stretches:
            told["beyond_seconds"] = verdict.stretches
        print(json.dumps(finding.facts() | told), flush=True)
        return
    if finding.course is None:
        print(f"{finding.video}: {verdict.word if verdict else 'cannot tell'} ({finding.cannot_tell})")
        return
    word = f"{verdict.word}: " if verdict else ""
    offset = finding.course.mean_ms
    which = "the video lags the audio" if offset > 0 else "the video leads the audio" if offset < 0 else "in sync"
    state = "sure" if finding.sure else "not sure: above_confidence= says from which confidence on it is"
    print(f"{finding.video}: {word}{described(finding.course)}, {which}; confidence {finding.confidence:.2f}, {state}")


def repair_videos(config) -> int:
    from slts.data.clip import Reject
    from slts.data.media.sidecar import TIMED
    from slts.files import refuse_sources
    from slts.systems.videos import find_videos

    data, out, done = Path(config.data), Path(config.out), 0

    def target_of(video: Path, key: str) -> Path:
        if not (data.is_dir() or out.is_dir()):
            return out
        if video.suffix.lower() not in TIMED:
            return out / f"{key}.mkv"
        return out / (video.relative_to(data) if data.is_dir() else video.name)

    videos = find_videos(data, print)
    targets = {video: target_of(video, key) for video, key in videos.items()}
    refuse_sources(targets.values(), videos)
    for video, repair, said in _repairs(config, videos):
        if repair is None:
            print(f"{video}: {said}; left out")
            continue
        try:
            written = repair(targets[video])
        except Reject as reject:
            print(f"{video}: {reject}")
            continue
        done += 1
        print(f"{video} -> {targets[video]}: {said}" if written else f"{video}: repaired already, nothing done")
    return 0 if done else 1


def _repairs(config, videos: dict[Path, str]):
    """Each video, what writes its repair to a path (None where there is nothing to take out), and what that is."""
    from slts.data.media.shifting import repair_video
    from slts.offsets.alignment import described, take_out

    method, streams = method_of(config), streams_of(config)
    if config.offsets:
        offsets = given_offsets(config)
        for video, key in videos.items():
            if key in offsets:
                repair = partial(repair_video, video, offsets[key], method, streams=streams)
                yield video, lambda out, repair=repair: repair(out=out), f"sound moved by {offsets[key]:+.0f} ms"
            else:
                yield video, None, "no offset"
        return
    for finding in _findings(config, _video_estimator(config), lambda _: None):
        if finding.course is None or not counted_rows([finding.row()], config.above_confidence):
            yield finding.video, None, f"no offset ({finding.cannot_tell or 'not sure enough'})"
            continue
        course, video = finding.course, finding.video
        said = "sound moved by" if course.kind == "constant" else "sound resampled or cut:"
        yield (
            video,
            lambda out, course=course, video=video: take_out(course, video, out, method, streams),
            f"{said} {described(course)}",
        )


def _findings(config, estimator, note=None):
    from slts.data.engine import engine_of
    from slts.offsets.alignment import find_offsets

    data = Path(config.data)
    return find_offsets(estimator, data, note or partial(tell, config), engine_of(config, data), config.part)


def _video_estimator(config):
    from slts.data.faces.people import Thresholds
    from slts.offsets.curve import VideoEstimator

    if config.method == "regression":
        raise UserError(
            f"method=regression learns from shards, and data={config.data} holds none; slts prepare makes them"
        )
    run, constant = load_system(config)
    how = Thresholds.of(config.tracks), config.faces, streams_of(config)
    return VideoEstimator(run, *how, config.window, config.above_confidence, constant)

"""Silent video to speech: every video leaves a .wav and a .mp4 with the speech muxed in.

The picture stream is copied, not encoded again. Any frame rate and length will do; the face is found as in preparation.
"""


def main(config) -> int:
    from pathlib import Path

    import soundfile
    from rich.progress import track

    from slts.audio import SAMPLE_RATE
    from slts.data.clip import Reject
    from slts.data.media import Streams, mux
    from slts.errors import UserError
    from slts.evaluation.runs import load_speaking_run
    from slts.evaluation.videos import find_videos, speak, speaker_index

    videos = find_videos(Path(config.input), print)
    run = load_speaking_run(config.run, config.checkpoint)
    speaker = speaker_index(run, config.speaker)
    streams = Streams(video=config.video_stream)
    out = Path(config.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out={out} cannot be written ({error.strerror}); choose another folder") from None
    failed = 0
    for video in track(videos, "generating", disable=len(videos) == 1):
        try:
            audio = speak(run, video, speaker, config.faces, streams)
            soundfile.write(out / f"{video.stem}.wav", audio, SAMPLE_RATE)
            mux(video, audio, out / f"{video.stem}.mp4", streams)
        except Reject as reject:
            failed += 1
            print(f"{video}: {reject}")
    print(f"{len(videos) - failed} of {len(videos)} videos spoken into {out}")
    return 1 if failed == len(videos) else 0

"""Silent video to speech: every video leaves a .wav and a .mp4 with the speech muxed in.

They lie in out= as their videos lie in input=, subfolders included. The picture stream is copied, not encoded again.
Any frame rate and length will do; the face is found as in preparation.
"""


def main(config) -> int:
    from pathlib import Path

    from rich.progress import track

    from slts.data.clip import Reject
    from slts.data.media import Streams, mux, write_sound
    from slts.errors import UserError
    from slts.systems.contract import SPEECH
    from slts.systems.trained import load_run_giving
    from slts.systems.videos import find_videos, speak, speaker_index, speech_files

    out = Path(config.out)
    outputs = speech_files(find_videos(Path(config.input), print), out)
    run = load_run_giving((SPEECH,), "slts generate", config.run, config.checkpoint)
    speaker, streams = speaker_index(run, config.speaker), Streams(video=config.video_stream)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out={out} cannot be written ({error.strerror}); choose another folder") from None
    failed = 0
    for video, (sound, film) in track(outputs.items(), "generating", disable=len(outputs) == 1):
        try:
            audio = speak(run, video, speaker, config.faces, streams)
            write_sound(sound, audio)
            mux(video, audio, film, streams)
        except Reject as reject:
            failed += 1
            print(f"{video}: {reject}")
    print(f"{len(outputs) - failed} of {len(outputs)} videos spoken into {out}")
    return 1 if failed == len(outputs) else 0

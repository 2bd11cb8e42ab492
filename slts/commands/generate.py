"""Silent video to speech, of videos or of a whole corpus.

`slts generate run=RUN input=VIDEO_OR_FOLDER out=OUT`: every video leaves a .wav and a .mp4 with the speech muxed in.
They lie in out= as their videos lie in input=, subfolders included. The picture stream is copied, not encoded again.
Any frame rate and length will do; the face is found as in preparation.

`slts generate run=RUN data=DIR out=OUT`: the corpus with KEY.synth.flac beside the rest of each clip, of all splits, in
the voice of its speaker. Given again after an interruption, it goes on. With run=[A,B] folds=2, where A was trained
with leave_out=0/2 and B with leave_out=1/2, each training clip is spoken by the run that did not learn from it, val and
test by the first; run=[C,A,B] has C, which left nothing out, speak those.
"""

from pathlib import Path

OF_VIDEOS = ("speaker", "video_stream", "faces")
"""Keys without a meaning for prepared clips."""
OF_CORPORA = {"workers": None, "engine": "local", "address": None, "part": None}
"""Keys without a meaning for videos, with their defaults."""


def main(config) -> int:
    from slts.data.location import refuse_addresses
    from slts.errors import UserError

    refuse_addresses(config, "data", "input", *(["out"] if config.data is None else []))
    if (config.input is None) == (config.data is None):
        given = "neither" if config.input is None else "both"
        raise UserError(f"slts generate speaks videos (input=...) or a prepared corpus (data=...), and got {given}")
    if config.data is not None:
        if unused := [name for name in OF_VIDEOS if config[name] is not None]:
            raise UserError(
                f"{unused[0]}={config[unused[0]]} is of videos, and the clips of data= are cut; leave it out"
            )
        return _speak_corpus(config)
    if config.folds > 1 or not isinstance(config.run, str):
        raise UserError("folds= and several runs are of data=, whose training clips have folds; videos take one run=")
    if unused := [name for name, default in OF_CORPORA.items() if config[name] != default]:
        raise UserError(f"{unused[0]}={config[unused[0]]} is of data=, whose shards are shared out; leave it out")
    return _speak_videos(config)


def _speak_corpus(config) -> int:
    from slts.data.destination import destination
    from slts.data.engine import engine_of
    from slts.systems.contract import SPEECH
    from slts.systems.synthesis import synthesise_corpus
    from slts.systems.trained import load_run_giving

    names = [config.run] if isinstance(config.run, str) else config.run
    runs = [load_run_giving((SPEECH,), "slts generate", name, config.checkpoint) for name in names]
    data, out = Path(config.data), destination(config)
    engine = engine_of(config, data / "corpus.json", *out.shared)
    corpus = synthesise_corpus(runs, data, out, config.batch_size, config.folds, engine, config.part)
    if corpus is None:
        print(f"part {config.part} is in {out}; the last part to be done writes corpus.json")
        return 0
    clips = sum(split["clips"] for split in corpus["splits"].values())
    print(f"{clips} clips spoken into {out}, as KEY.synth.flac beside what was recorded")
    return 0


def _speak_videos(config) -> int:
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

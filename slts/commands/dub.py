"""Lips to speech: a film of a face speaks another sound, pasted back at its own size.

Any frame rate, length, size and orientation will do, and so does a still picture. A film shorter than the sound runs
back and forth or holds its last picture, a longer one is cut. Frames without a face stay as they are. The picture is
encoded once; the sound is copied where the container can hold it. Beside FILE lies a .json that says that the lips are
synthetic, by which run; so does the file's own metadata. run= is a run of task=wav2lip, or a file with published
weights of its generator.

Where video= or audio= is a folder, out= is one, for KEY.mp4: a file goes with each of the other folder, two folders go
by names without suffix, and pairs=LIST.csv has lines of key,video,audio, files below the two. One that cannot be dubbed
stops no other. Given again, the command goes on: what is done, of the same files and weights, is not done again.
"""

from pathlib import Path


def main(config) -> int:
    from slts.data.media import Streams
    from slts.errors import UserError
    from slts.systems.dubbing import Manner

    video, audio = Path(config.video), Path(config.audio)
    for key, file in (("video", video), ("audio", audio)):
        if not file.exists():
            raise UserError(f"{key}={file}: no such file")
    streams = Streams(video=config.video_stream, audio=config.audio_stream)
    manner = Manner(config.faces, config.person, config.short, streams, config.mel_lead_ms)
    several = config.pairs is not None or video.is_dir() or audio.is_dir()
    return (_dub_several if several else _dub_one)(config, video, audio, manner)


def _dub_one(config, video: Path, audio: Path, manner) -> int:
    from rich.progress import track

    from slts.data.media.film import FORMATS
    from slts.errors import UserError
    from slts.files import refuse_sources
    from slts.systems.dubbing import dub
    from slts.systems.wav2lip.published import load_drawing

    out = Path(config.out)
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"out={out}: end it with {', '.join(FORMATS)}")
    refuse_sources([out, out.with_suffix(".json")], [video, audio])
    run = load_drawing(config.run, "slts dub", config.checkpoint, manner.mel_lead_ms)
    facts = dub(run, video, audio, out, manner, lambda pieces, count: track(pieces, "dubbing"))
    print(
        f"{out}: {facts['frames']} frames at {facts['fps']:g} a second, {facts['without_face']} of them without a face"
        f" left as they are; sound {facts['sound']}"
    )
    return 0


def _dub_several(config, video: Path, audio: Path, manner) -> int:
    from rich.progress import track

    from slts.commands.dub_pairs import found_pairs, listed_pairs
    from slts.data.media.film import FORMATS
    from slts.errors import UserError
    from slts.files import refuse_sources
    from slts.systems.dubbing import dub, face_crop, is_dubbed, made_from
    from slts.systems.wav2lip.published import load_drawing

    out = Path(config.out)
    if out.suffix.lower() in FORMATS or out.is_file():
        raise UserError(f"out={out}: several films go into a folder, each as KEY.mp4")
    pairs, notes = (listed_pairs(Path(config.pairs), video, audio), []) if config.pairs else found_pairs(video, audio)
    outputs = [out / f"{pair.key}.mp4" for pair in pairs]
    sources = [file for pair in pairs for file in (pair.video, pair.audio)]
    refuse_sources([*outputs, *(file.with_suffix(".json") for file in outputs)], sources)
    run = load_drawing(config.run, "slts dub", config.checkpoint, manner.mel_lead_ms)
    face_crop(run, manner)  # what is wrong with either is said once, and not of every pair
    for note in notes:
        print(note)
    done = failed = without_face = 0
    for pair, film in track(list(zip(pairs, outputs, strict=True)), "dubbing"):
        try:
            if missing := [file for file in (pair.video, pair.audio) if not file.is_file()]:
                raise UserError(f"{missing[0]}: no such file")
            made = made_from(run, pair.video, pair.audio, manner)
            if is_dubbed(film, made):
                done += 1
            else:
                without_face += dub(run, pair.video, pair.audio, film, manner, made=made)["without_face"]
        except (UserError, OSError) as error:
            if isinstance(error, OSError) and error.filename not in (str(pair.video), str(pair.audio)):
                raise  # of the disk
            failed += 1
            print(f"{pair.key}: {error}")
    print(
        f"{len(pairs) - failed} of {len(pairs)} pairs are dubbed in {out}, {done} of them from before;"
        f" {without_face} frames without a face left as they are"
    )
    return 1 if failed == len(pairs) else 0

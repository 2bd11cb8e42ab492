"""Lips to speech: a film of a face speaks another sound, pasted back at its own size.

Any frame rate, length, size and orientation will do, and so does a still picture. A film shorter than the sound runs
back and forth, a longer one is cut. Frames without a face stay as they are. The picture is encoded once; the sound is
copied where the container can hold it. Beside FILE lies a .json that says that the lips are synthetic, by which run;
so does the file's own metadata. run= is a run of task=wav2lip, or a file with published weights of its generator.
"""


def main(config) -> int:
    from pathlib import Path

    from rich.progress import track

    from slts.data.media import Streams
    from slts.data.media.film import FORMATS
    from slts.errors import UserError
    from slts.files import refuse_sources
    from slts.systems.dubbing import dub
    from slts.systems.wav2lip.published import load_drawing

    video, audio, out = Path(config.video), Path(config.audio), Path(config.out)
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"out={out}: end it with {', '.join(FORMATS)}")
    for key, file in (("video", video), ("audio", audio)):
        if not file.exists():
            raise UserError(f"{key}={file}: no such file")
        if file.is_dir():
            raise UserError(f"{key}={file} is a folder; give one file")
    refuse_sources([out, out.with_suffix(".json")], [video, audio])
    run = load_drawing(config.run, "slts dub", config.checkpoint, config.mel_lead_ms)
    streams = Streams(video=config.video_stream, audio=config.audio_stream)
    facts = dub(
        run, video, audio, out, config.faces, config.person, streams, lambda pieces, count: track(pieces, "dubbing")
    )
    print(
        f"{out}: {facts['frames']} frames at {facts['fps']:g} a second, {facts['without_face']} of them without a face"
        f" left as they are; sound {facts['sound']}"
    )
    return 0

"""slts: lip-to-speech synthesis and audio-visual synchronisation."""

__version__ = "0.1.0"

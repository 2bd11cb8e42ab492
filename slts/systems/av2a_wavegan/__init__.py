"""AV2A in the waveform domain: on a base of V2A-WaveGAN, with what slts.systems.av2a has for both."""

"""Features of sound: mel spectrograms, voice activity."""

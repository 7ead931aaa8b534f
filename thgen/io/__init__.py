"""Reading and writing of photos, sound and video. Only this package calls ffmpeg and the decoders of Pillow.

Any file may be the upload of an attacker. Therefore:
- the content of a file decides its kind, not its name;
- sizes are checked before pixels are decoded;
- decoders run in child processes (`process.Child`) with limits on time and memory;
- every wait has a time limit and can be cancelled.
"""

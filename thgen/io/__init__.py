"""Everything that is read from or written to files: photos, sound, video. All of ffmpeg and Pillow's decoders are here.

Whatever is read may be an upload of a hostile stranger. So: content decides and not the name; sizes are checked before
a pixel is decoded; decoders run in processes of their own (`process.Child`) with limits on time and memory; every wait
has an end and can be cancelled.
"""

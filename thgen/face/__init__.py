"""The face front end: find, observe, track, crop and paste faces."""

"""The face encoder: one network that reads enlarged tiles of a face for every compact method."""

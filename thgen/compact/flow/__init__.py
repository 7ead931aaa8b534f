"""The flow generator: a photo, warped by keypoints in layers, and painted where it shows nothing."""

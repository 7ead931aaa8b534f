"""The head: meshes, performers, keypoints."""

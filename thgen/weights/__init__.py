"""Weight files: manifest, Hub, conversion, bundling."""

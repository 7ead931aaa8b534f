"""Pictures in rows and columns as one JPEG, and the portraits that they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from thgen.errors import OutputError, PhotoError
from thgen.io.photo import read_photo

ASTRONAUT = "astronaut"  # scikit-image's own photo
HEADER = 22  # px of the line of labels
QUALITY = 88  # of the JPEG


def read_portrait(photo: str) -> tuple[str, np.ndarray]:
    """A path, or "astronaut" -> its name and uint8 RGB [H W 3]. Raises PhotoError."""
    if photo == ASTRONAUT:
        from skimage import data

        return ASTRONAUT, np.ascontiguousarray(data.astronaut())
    return Path(photo).stem, read_photo(photo)


def save_grid(pictures: list[np.ndarray], cell: int, per_row: int, path: Path) -> Path:
    """Pictures uint8 [cell cell 3] in rows of at most `per_row`, without labels. Raises OutputError, PhotoError."""
    width = max(1, min(per_row, len(pictures)))
    blank = np.full((cell, cell, 3), 255, np.uint8)
    cells = pictures + [blank] * (-len(pictures) % width)
    return save_sheet([cells[i : i + width] for i in range(0, len(cells), width)], [""] * width, cell, path)


def save_sheet(pictures: list[list[np.ndarray]], labels: list[str], cell: int, path: Path) -> Path:
    """Rows of square pictures uint8 [S S 3] under a line of labels, each shown at `cell` px, as a JPEG.

    Raises OutputError, and PhotoError when there is no picture.
    """
    if not pictures:
        raise PhotoError("There is no portrait to show: give at least one photo.")
    header = HEADER if any(labels) else 0
    sheet = Image.new("RGB", (cell * len(labels), header + cell * len(pictures)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=max(10, cell // 12))
    for column, label in enumerate(labels):
        draw.text((column * cell + 4, 4), label, fill="black", font=font)
    for row, images in enumerate(pictures):
        for column, image in enumerate(images):
            small = Image.fromarray(image).resize((cell, cell), Image.Resampling.LANCZOS)
            sheet.paste(small, (column * cell, header + row * cell))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, quality=QUALITY)
    except (OSError, ValueError) as error:
        raise OutputError(f"The sheet cannot be written to {path} ({error}); choose another --sheet.") from error
    return path

"""Photographs as cameras and phones write them: raw files (DNG), HEIC."""

import numpy as np
import tifffile

# Matrix of a camera whose colours are those of sRGB: from XYZ to linear sRGB
TO_SRGB = np.linalg.inv(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
BLACK, WHITE = 256, 4095  # values of the sensor
THUMBNAIL = np.full((64, 96, 3), 200, np.uint8)


def mosaic_of(rgb):
    """What a sensor with red, green and blue filters records of a picture (rows, cols, 3)."""
    share = rgb / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    recorded = light[..., 1].copy()
    recorded[::2, ::2] = light[::2, ::2, 0]
    recorded[1::2, 1::2] = light[1::2, 1::2, 2]
    return np.rint(BLACK + recorded * (WHITE - BLACK)).astype(np.uint16)


def write_dng(path, rgb, orientation=1, exif=()):
    """Write a raw file as cameras do: a thumbnail, and in its subdirectory the mosaic."""
    matrix = [int(part) for each in TO_SRGB.ravel() for part in (round(each * 10000), 10000)]
    camera = [
        (271, 2, 6, "Camera", True),
        (272, 2, 6, "Camera", True),
        (274, 3, 1, orientation, True),
        (50706, 1, 4, (1, 4, 0, 0), True),  # version of DNG
        (50708, 2, 6, "Camera", True),
        (50721, 10, 9, matrix, True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),  # white balance
        (50778, 3, 1, 21, True),  # D65
        *exif,
    ]
    sensor = [
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, (0, 1, 1, 2), True),  # red, green; green, blue
        (50714, 3, 1, BLACK, True),
        (50717, 3, 1, WHITE, True),
    ]
    with tifffile.TiffWriter(path, byteorder="<") as file:
        small = {"photometric": "rgb", "subfiletype": 1, "subifds": 1}
        file.write(THUMBNAIL, **small, metadata=None, extratags=camera)
        raw = {"photometric": 32803, "subfiletype": 0, "rowsperstrip": 16}
        file.write(mosaic_of(rgb), **raw, metadata=None, extratags=sensor)
    return path


def write_heic(path, rgb, **options):
    """Write HEIC; an orientation in ``exif`` becomes that of the file."""
    import pillow_heif
    from PIL import Image

    image = pillow_heif.from_pillow(Image.fromarray(rgb))
    image.save(path, **{"quality": -1, "chroma": 444, "matrix_coefficients": 0} | options)
    return path

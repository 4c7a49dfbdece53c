"""Charts and image sheets drawn with OpenCV."""

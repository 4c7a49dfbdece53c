"""Charts and image sheets by OpenCV, without a plotting library."""

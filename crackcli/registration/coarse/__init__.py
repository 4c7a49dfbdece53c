"""Coarse alignment: a homography from features, and a check for repeating patterns."""

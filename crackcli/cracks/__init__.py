"""Traces the cracks of a mask: skeleton, centreline, outline, length, mask width; separates
joints."""

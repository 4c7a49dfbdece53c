"""Local alignment: dense matches, the smooth field fitted to them, and its accuracy."""

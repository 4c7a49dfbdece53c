"""From mask to cracks: components, skeleton, centreline, outline, length, mask width; joints set
apart."""

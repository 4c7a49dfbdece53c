"""What two photographs say of a crack: samples, common stretch, visibility, significance."""

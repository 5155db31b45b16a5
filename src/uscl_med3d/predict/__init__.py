"""From a volume and prompts to a mask, and back onto the grid of its file."""

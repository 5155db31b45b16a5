"""Parts that the pretext tasks SimCLR, BYOL, MAE and SimMIM share: images, views, heads, losses, collapse watch."""

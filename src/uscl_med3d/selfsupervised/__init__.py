"""What pretext tasks are made of: their base class, the sweeps they may read, views, heads, losses, collapse watch."""

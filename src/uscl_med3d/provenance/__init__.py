"""Where results come from, and whether they belong together: trace, audit, regenerate, compare."""

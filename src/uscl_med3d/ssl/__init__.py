"""Pretext tasks compared: on SAM-Med3D's adapters by the usual fine-tune, and on a small encoder of frames by probes."""

"""Mask propagation: key-frame masks spread over the frames between. Pure functions, shared by the stage
`pseudolabel` and by the methods that are prompted with key frames."""

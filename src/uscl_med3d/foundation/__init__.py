"""Stage `foundation`: the base models, trained here on general-domain data or loaded from official
checkpoints."""

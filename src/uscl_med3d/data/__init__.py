"""Raw clips, key frames and cohort tables in; volumes, sidecars and the split manifest out."""

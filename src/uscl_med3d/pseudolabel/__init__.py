"""Stage `pseudolabel`: key-frame masks become label volumes."""

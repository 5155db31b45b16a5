"""For a user of the models: segment own files, export models, look for identifying data. No stage imports this."""

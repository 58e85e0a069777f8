"""The directory of models: from the names in settings to models, with addresses, keys and windows."""

"""The plugin that others find under the name ``xdist``. It does nothing: its name is what they ask for."""

"""Sphinx's settings for this documentation."""

project = "pytest-parpool"
author = "pytest-parpool contributors"
project_copyright = author

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Code blocks with a language that does not fit are a mistake, and `-W` finds it.
highlight_language = "none"

exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "pytest-parpool"

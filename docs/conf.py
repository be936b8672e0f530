"""The documentation's build: sphinx-build -W -b html docs build/docs."""

project = "BeamHub"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "BeamHub"
exclude_patterns = ["_build"]

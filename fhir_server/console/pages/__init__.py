"""One file for each page or few; they do not import each other. docs/pages.md"""

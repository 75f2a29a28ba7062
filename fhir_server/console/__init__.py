"""What the pages for people are made of; no route serves them yet. docs/pages.md"""

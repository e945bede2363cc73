"""One file per source of images: it converts them for the exporter, and registers its command.

A new source is a file here and a line in the table of pgtf/commands/dataset.py.
"""

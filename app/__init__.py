"""What people touch: the command line, the search page and the demo.

All of it is thin: it parses, calls `indexing`, and shows the answer. Nothing in `stlib` or `indexing` imports
this package.
"""

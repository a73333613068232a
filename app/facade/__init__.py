"""What the command line, the page and whoever writes a script call: one door for all of them.

Nothing here draws or prints.
"""

"""What the server runs for every visit and every press: the shell, and in it the page that was chosen."""

from app.ui.shell import draw

draw()

"""Pictures of pages of PDF files, drawn in a process of their own.

`draw_page` is all that others call. What parses the file never runs in the process of the page.
"""

from app.pictures.parent import NoPicture, PagePicture, draw_page

__all__ = ["NoPicture", "PagePicture", "draw_page"]

"""Views of the catalog: derived, disposable, each with a watermark `seq` up to which it follows the log."""

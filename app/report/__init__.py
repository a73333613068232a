"""Comparing ways of searching on judged questions, and telling what came of it.

systems      what is compared: a serving, a mode, a reranker, a precision
judgments    judged questions of a folder, or of what people said; folders that visitors bring
measuring    every question put to every system, one system after the other
precisions   collections in a scratch folder, whose vectors are stored otherwise
comparing    intervals, tests, what they mean
coverage     text that no vector covers
making       all of it: a `Report`
words, plots, page, markdown   a report as sentences, pictures, HTML and Markdown
history      past reports of a collection, each a file
"""

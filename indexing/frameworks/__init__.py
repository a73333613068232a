"""Collections as the stores of LangChain, LlamaIndex and Haystack: one file each, which alone imports it.

A store takes vectors that the framework brings, or leaves them to the collection's model, which cuts long
texts into passages.
"""

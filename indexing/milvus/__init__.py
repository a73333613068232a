"""What talks to Milvus: settings, one bounded connection for each process and address, what a collection
there looks like. Nothing of it is loaded before a collection with the engine `milvus` is used.
"""

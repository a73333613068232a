"""A trial: the candidate answers beside what is live, and what people click says which is better.

votes    from clicks to one vote of each visit
report   what the votes say, and whether they decide
"""

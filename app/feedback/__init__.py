"""What people asked and what they said of the answers.

model        impressions, events, sayings; the grade of each kind of saying
questions    when two questions are the same one
place, table where they are kept, and every statement that reads or writes them
log          searches, written in batches by a thread beside the search
erasing      what is forgotten by itself, and what is erased when somebody says so
formats      judgments of other programs: BEIR folders, CSV files, TREC files
"""

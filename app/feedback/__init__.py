"""What people asked and what they said of the answers.

model        impressions, events, sayings; the grade of each kind of saying
questions    when two questions are the same one
place, table where they are kept, and every statement that reads or writes them
recording    from an answer or a word of a person to what is kept of it
log          searches, written in batches by a thread beside the search
erasing      what is erased when somebody says so
formats      judgments of other programs: BEIR folders, CSV files, TREC files; exchange: in and out
replaying    a question again, and what became of its answer
judged       graded questions: what tuning and the gate read
"""

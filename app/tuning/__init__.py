"""Learning from judgments: levers make candidate servings, and one gate says which may be live.

data      judged questions with what each leg says of their documents: read once, used by every lever
levers    what can be learned, a file each
auto      the cheap levers in order, each on top of those that helped
gate      the one test of a candidate, and its report
runs      the records of a home: what was tuned, tested and tried, and what tests may still spend
"""

"""The gate: what was learned is live only after it has shown to be better.

model      the report
test       the differences on questions, and the test of them; cross-fitting
unjudged   answers that nobody judged, and whether they could turn the verdict
guard      judgments that must not get worse
replaying  how many answers change
wording    the report in sentences
run        all of it, for one candidate
"""

"""The few statistics that decisions rest on, by numpy alone. Each function names its source.

randomisation   is the mean of paired differences above zero?
distributions   quantiles of Student's t
intervals       how far a mean may be off
power           the smallest difference that so many questions could show
multiple        several tests at once, and several looks one after the other
anytime         a share that is watched while it grows
"""

"""Texts that a model encodes once, so that ranges of codes are known before there are documents."""

from __future__ import annotations

from functools import cache

__all__ = ["fixed_texts"]

TEXTS = 256

# Words of many fields: what counts is that together they stretch a model's dimensions as real texts do.
_WORDS = """
water river ocean rain snow storm desert forest mountain valley island harbor bridge tunnel road railway
airport ship engine wheel brake battery motor turbine wing pressure velocity temperature heat flow boundary
shock beam bolt steel iron copper gold glass wood paper cotton wool leather plastic rubber cement brick
house kitchen garden window door roof floor bed chair table lamp clock knife spoon cup bottle bread milk
cheese butter egg meat fish chicken rice potato tomato onion garlic pepper salt sugar honey coffee tea wine
beer soup cake apple orange lemon grape banana cherry wheat corn bean seed flower tree leaf root soil farm
horse cow pig sheep dog cat mouse bird eagle owl bee ant spider snake frog whale shark salmon lion tiger bear
wolf elephant monkey child mother father brother sister friend neighbour teacher student doctor nurse patient
lawyer judge police soldier king queen president minister senator mayor engineer farmer artist painter poet
singer actor dancer writer editor reporter player coach team match goal race medal football tennis chess music
guitar piano violin drum song opera film theatre novel poem letter newspaper magazine photograph painting
statue museum church temple prayer saint angel war peace army weapon treaty border empire revolution election
vote law court crime prison contract tax bank money price market trade company factory worker union salary
insurance budget debt profit stock school university lesson exam book library language grammar alphabet
dictionary sentence word number equation algebra geometry triangle circle proof theorem probability statistics
matrix vector function computer program file folder list string integer loop thread process memory network
server client password email website database query index search sort error exception message module package
install update version keyboard screen printer camera telephone radio television satellite rocket planet moon
star galaxy gravity light energy atom electron molecule acid metal crystal laser magnet cell gene protein
virus bacteria vaccine blood heart lung brain bone muscle skin eye ear tooth cancer fever pain drug surgery
hospital diet sleep exercise birth death marriage wedding funeral festival holiday travel hotel ticket map
passport village city capital street park beach hill lake spring summer autumn winter morning evening night
century history ancient modern north south east west red blue green yellow black white small large fast slow
young old new cold warm hard soft bright dark loud quiet strong weak rich poor happy sad angry afraid open
close begin end buy sell build break write read speak listen think remember forget learn teach win lose give
take send receive push pull carry cut cook eat drink wash sleep walk run jump swim fly drive ride climb fall
grow burn freeze melt measure compare
"""
_JOINTS = "the of and in to with for by from on at about after before between without".split()
_LENGTHS = (1, 2, 3, 5, 8, 12, 20, 40)


@cache
def fixed_texts() -> tuple[str, ...]:
    """The same texts on every machine: runs of neighbouring and of distant words, from one word to forty."""
    words = _WORDS.split()
    state = 1
    texts = []
    for number in range(TEXTS):
        row = []
        at = 0
        for position in range(_LENGTHS[number % len(_LENGTHS)]):
            state = state * 1664525 + 1013904223 & 0xFFFFFFFF  # Knuth's linear congruence, as in ranqd1
            if position % 6 == 0:
                at = (state >> 8) % len(words)
            elif position % 2:
                row.append(_JOINTS[(state >> 8) % len(_JOINTS)])
                continue
            else:
                at = (at + 1 + (state >> 8) % 3) % len(words)
            row.append(words[at])
        texts.append(" ".join(row))
    return tuple(texts)

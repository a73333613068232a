"""Texts on three subjects, for all programs."""

BREAD = [
    "Dough rises because yeast turns sugar into gas.",
    "Bakers knead flour and water until the gluten is strong.",
    "A sourdough loaf needs a ripe starter and a hot oven.",
    "Salt slows the yeast down and gives the bread its taste.",
    "The crust browns when sugars and proteins meet great heat.",
    "Rye bread is denser than bread made of wheat flour.",
    "Let the loaf cool before you cut the first slice.",
    "Steam in the oven keeps the crust of a baguette soft at first.",
]
SPACE = [
    "The moon pulls the oceans and makes the tides.",
    "A rocket needs great speed to leave the gravity of the earth.",
    "Jupiter is the largest planet that circles the sun.",
    "Astronauts float in the station because it falls around the earth.",
    "The light of distant galaxies is shifted towards red.",
    "A comet shows its tail when it comes near the sun.",
    "Telescopes in orbit see stars without the blur of the air.",
    "Saturn's rings are made of ice and dust.",
]
MUSIC = [
    "A violin has four strings that are played with a bow.",
    "The orchestra tunes its instruments to the oboe.",
    "Jazz musicians improvise a melody over the chords of a song.",
    "The pianist practised the sonata for three months.",
    "Drums keep the rhythm while the bass plays low notes.",
    "A choir sings in four voices from soprano to bass.",
    "The composer wrote the opera in a single winter.",
    "A guitar sounds softer with strings of nylon.",
]
ALL = [*BREAD, *SPACE, *MUSIC]
QUESTIONS = [
    "Why does bread get bigger in the oven?",
    "What makes the sea rise and fall?",
    "Who sings in a choir?",
]

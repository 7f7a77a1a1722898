"""The vocabulary of the tales: names, places, things with colours, and the words between them."""

EOS = "<eos>"
NAMES = {
    "f": ("Lily", "Mia", "Anna", "Rosa", "Ella", "Nina"),
    "m": ("Tom", "Ben", "Max", "Sam", "Leo", "Paul"),
}
# Each place with its preposition and where a thing may lie there.
PLACES = {
    "garden": ("in", "under the roses"),
    "park": ("in", "under a bench"),
    "forest": ("in", "behind a tree"),
    "hill": ("on", "in the grass"),
    "beach": ("on", "in the sand"),
    "pond": ("by", "near the water"),
    "barn": ("in", "in the hay"),
    "market": ("at", "under a table"),
    "meadow": ("in", "between the flowers"),
    "river": ("by", "between two stones"),
    "farm": ("on", "behind the gate"),
    "orchard": ("in", "under a tree"),
}
# Each thing with what one does with it: alone, and as "they" do. The wind can take light ones,
# frail ones can break.
THINGS = {
    "light": {
        "kite": ("flies", "fly"),
        "hat": ("wears", "play with"),
        "scarf": ("wears", "play with"),
        "flag": ("waves", "wave"),
    },
    "frail": {
        "drum": ("beats", "beat"),
        "boat": ("plays with", "play with"),
        "doll": ("plays with", "play with"),
        "flute": ("plays", "play"),
        "cart": ("pulls", "pull"),
    },
    "firm": {
        "ball": ("plays with", "play with"),
        "book": ("reads", "read"),
        "bell": ("rings", "ring"),
        "hoop": ("rolls", "roll"),
    },
    "food": dict.fromkeys(("pear", "plum", "cake", "pie", "bun", "cookie"), ("", "")),  # no verb,
}
TOYS = ("light", "frail", "firm")
COLOURS = ("red", "blue", "green", "yellow", "white", "black", "pink", "purple", "silver", "golden")
TASTES = ("sweet", "big", "fresh", "little")
BEASTS = {"dog": "runs", "goat": "runs", "fox": "runs", "monkey": "runs", "crow": "flies",
          "goose": "flies", "gull": "flies"}  # fmt: skip
PRONOUNS = {"f": ("she", "her", "her"), "m": ("he", "him", "his")}
SEX = {pronoun: sex for sex, pronouns in PRONOUNS.items() for pronoun in pronouns}

# The order is that of the token ids: a trained model depends on it.
VOCABULARY = """
“ ” , . A a afraid After after again All all alone along am and Anna are arms asks asleep At at
away back bag ball barn basket be beach beat beats because bed bedtime begins behind bell Ben bench
best between big black blows blue boat book Both both breaks bright broken brought bun But but
by cake can cannot carries cart comes cookie cries crow dark day Do does dog doll down dreams
drops drum eats Ella Evening evening falls farm fast find finds flag flies flowers flute fly
follows for forest fox fresh friend friends From from garden gate gets getting gives glue go
goat goes golden gone good goodbye goose grabs grass green gull half hand happy has hat have hay
He he help Her her hill him His his home hoop hugs hungry I in is It it Just kite knows last
late later laughs Leo Let lies like likes Lily little look looks lost lovely loves market Max
meadow meet mend mends Mia monkey more morning much My my near next night Nina no nobody not Now
now of On on once One orchard other out park Paul pear picks pie piece pink play plays plum
pond pull pulls purple puts quiet quietly rain read reads red ring rings river roll rolls
Rosa roses run runs sad Sam sand says scarf sees share She she shows silver smile smiles So some
Soon soon starts stones string Suddenly sun sunny sweet table take takes than Thank thanks That
that The the Then then There there They they to together Tom too toy toys tree turns two under
up us very walk walks wants warm was water wave waves wears What what while white wind windy
with would wrong yellow You you
"""
WORDS: tuple[str, ...] = (*VOCABULARY.split(), EOS)
INDEX = {word: i for i, word in enumerate(WORDS)}
# What kind of word each is, where it names somebody or something.
CLASS = {
    **dict.fromkeys(NAMES["f"], "girl"),
    **dict.fromkeys(NAMES["m"], "boy"),
    **dict.fromkeys(PLACES, "place"),
    **dict.fromkeys(COLOURS, "colour"),
    **dict.fromkeys(TASTES, "taste"),
    **{
        noun: "food" if kind == "food" else "toy"
        for kind, nouns in THINGS.items()
        for noun in nouns
    },
    **dict.fromkeys(BEASTS, "animal"),
    **dict.fromkeys(("she", "She", "he", "He", "her", "Her", "him", "his", "His"), "pronoun"),
    **dict.fromkeys(("they", "They", "it"), "pronoun"),
}

"""The words by which verdicts, reasons and doubts are told apart, and whether a clause praises or blames.

The lists are wide where a word that is missing could turn blame into a vote, for a word too many only makes a failure
of a vote that can be asked again.
"""

from __future__ import annotations

import re

NOUN = (
    "(?:response|answer|option|assistant|output|candidate|choice|text|model|version|reply|solution|completion|item|"
    "summary|one|number|letter)"
)
LEAD = (
    "so|therefore|thus|hence|overall|finally|then|in conclusion|in summary|to conclude|to summarize|in short|i think|"
    "i believe|i would say|i'd say|in my opinion|in my view|clearly|definitely|certainly|absolutely|here is|here's|"
    "this is|it is|it's|that is|as a result|ok|okay|sure|certainly|no|nope"
)
"""What may stand before a verdict and changes nothing of it; "no" where it is not a label itself."""
CONTRAST = (
    "but|however|wait|actually|correction|although|though|yet|except|unless|instead|rather|sorry|oops|hmm|not|never|"
    "nevertheless|nonetheless|still|on second thoughts?|on reflection|just kidding|that said|if|only|scratch|strike|"
    "no|or|otherwise|maybe|perhaps"
)
"""What takes back or limits what was said before it."""
LIMITED = re.compile(
    r"(?!in (?:the end|general|total|sum|all|every|conclusion|summary|short|my|comparison|contrast|view|light)\b|"
    r"on (?:balance|the whole|reflection)|for (?:these|this|that|those|the) reasons?|for (?:the|these) reasons? |"
    r"as (?:a result|such)|by (?:far|comparison|contrast)|with (?:this|that|all|everything))"
    r"(?:in|on|at|for|as|from|by|with|within|under|to|regarding|concerning|about|judged by|judging by|"
    r"where|nowhere|until|only)\b|"
    r"(?!(?:overall|clearly|ultimately|finally|consequently|accordingly|objectively|personally|honestly|generally|"
    r"frankly|importantly|obviously|certainly|definitely|undoubtedly|actually|really|simply|evidently|plainly|"
    r"additionally|notably|respectively|lastly|finally|altogether)\b)\w+ly$"
)
"""What comes before a claim and lets it hold only there: "in terms of style", "at first glance", "technically"."""
PARTLY = re.compile(r"\b(?:in theory|on paper|at first|on the surface|in terms of|\w+ically)\b")
"""What lets the claims of a sentence hold only in part, wherever it stands before them."""
ATTRIBUTED = re.compile(
    r"^(?:in theory|on paper|at first|on the surface|at least|for (?:a|an|some|most|many|those)|until|as long as|"
    r"so long as|provided|assuming|supposing|according to|is what|stylistically|technically|superficially)\b|"
    r"\b(?:say|says|said|claims?|claimed|thinks?|thought|nobody|no one|pretend\w*)\b"
)
"""What comes behind a claim in its sentence and makes it somebody else's, or lets it hold only there."""
RETRACTED = re.compile(
    r"(?:edit|update|correction|erratum|ps|(?:just |only )?(?:joking|kidding)|i (?:hereby )?(?:take|retract|withdraw) "
    r"(?:it|that|this|my)|(?:but )?(?:the|exactly the|quite the) (?:opposite|contrary|reverse)|on the contrary|"
    r"conversely|i (?:revise|change|correct|lower|raise|adjust|reconsider))\b|"
    r"(?:that|this|it) (?:is|was) (?:only |just )?what\b.*\b(?:says?|said|claims?|claimed|thinks?|thought)"
)
"""What takes back the sentence before it."""
FALSE = re.compile(r"(?:\w+ )?(?:false|untrue|wrong|incorrect)$")
"""What says of the sentence before it that it does not hold, where that is no grade."""
DENIAL = r"(?:no|not|never|neither|nor|none|nothing|without|hardly|barely|cannot|\w+n't|free of|far from)\b"
SUPPOSED = (
    "if|unless|when|were|would|could|might|may|maybe|perhaps|suppose|assum|say|says|said|claim|doubt|false|untrue|"
    "wrong to|pretend|some|others|people|author|user"
)
_PRAISE = re.compile(
    r"\b(?:better|best|good|great|correct|right|accura|clear|helpful|complete|concise|relevan|true|strong|superior|"
    r"prefer|excel|useful|thorough|precise|choose|chosen|well\b|answers|address|follows|faithful|fluent|funn|"
    r"perfect|nice|solid|valid|coheren|satisf|succe|wins?\b|winner|informative|appropriate|meets|acceptable|yes\b)"
)
_BLAME = re.compile(
    r"\b(?:wrong|incorrect|worse|worst|weak|inferior|poor|bad\b|badly|err(?:or|s|oneous)|mistak|fail|flaw|false|lack|"
    r"miss|ignor|off\b|irrelevan|un(?!der|ique|it|til|i)\w{3,}|in(?:accura|complet|coheren|consist|valid|adequa|"
    r"suffic|approp|compet)|mis\w{3,}|dis\w{4,}|hallucinat|confus|contradict|nonsens|useless|terribl|awful|horribl|"
    r"reject|avoid|los(?:e|es|t|er|ing)\b|problem|issue|fault|defect|broken|vague|verbose|rambl|rude|toxic|harm|danger|"
    r"too\b|overly|unlike|less\b|least|limited|short of|fabricat|invent|made up|stupid|ugly|boring|weird|repetiti|"
    r"omit|neglect|violat|illog|untru|worthless|garbage|trash|terrible|subpar|mediocre|sloppy|biased|offensive|"
    r"evades?|refus|typo|nothing|wordy|copied|dull|silly|vulgar|messy|odd\b|strange|outdated|superficial|shallow)"
)
_DENIAL = re.compile(rf"\b(?:{DENIAL})")
_DOUBT = re.compile(
    r"\b(?:could|would|should|might|may|if|unless|only|except|but|however|although|though|barely|rather)\b"
)


def polarity(clause: str) -> int | None:
    """Whether a clause, in small letters, praises (1), blames (-1), does neither (0), or both or neither surely (None).

    A denial turns it round: "not good" blames, "no errors" praises.
    """
    praise, blame, denial = _PRAISE.search(clause), _BLAME.search(clause), _DENIAL.search(clause)
    denied = denial is not None
    if (praise is None) == (blame is None):
        return None if praise or denied or _DOUBT.search(clause) else 0
    if _DOUBT.search(clause) or (blame and denial and denial.start() > blame.start()):
        return None  # "wrong, not A" denies something else
    return (1 if praise else -1) * (-1 if denied else 1)

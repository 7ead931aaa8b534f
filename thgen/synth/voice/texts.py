"""Sentences for the synthesisers, written for this project. They have many lip closures, roundings and open vowels.

`SENTENCES` has natural sentences per language. `invented` makes sentences of random words in the spelling of a
language. Their number is unlimited, so that a network cannot memorise phone sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "My mother bought a big blue map for the boat trip.",
        "Please put the paper back before Bob opens the box.",
        "Five very fine waves washed over the wharf.",
        "You should move the blue shoes to the other room.",
        "What would you do if the weather were warm tomorrow?",
        "The judge chose a large orange fish from the shop.",
        "I think that both of these things are rather thin.",
        "Every evening we walk past the old harbour and watch the ships.",
        "Open the window, close the door, and come over here.",
        "She sells six small silver spoons every Sunday.",
        "Happy people often make much more music than they mean to.",
        "No, wait a moment! I forgot my umbrella again.",
        "How far away is the farm where your father grew up?",
        "Perhaps we may meet for a cup of coffee at half past four.",
        "The yellow lamp above the piano is far too bright.",
        "Could you give me a hand with this heavy table?",
        "Two brown bears were playing by the broken bridge.",
        "Our new neighbour plays the trumpet, badly but with joy.",
    ),
    "de": (
        "Meine Mutter bäckt am Abend Brot mit Pflaumen und Butter.",
        "Bitte bring mir morgen früh die blaue Mappe mit.",
        "Fünf Vögel fliegen über das weite, flache Wasser.",
        "Schöne Schuhe wünscht sich heute wohl jeder.",
        "Wo wohnt denn der Mann, der gestern so laut gesungen hat?",
        "Opa pumpt den Ball auf, und Emma malt einen Apfelbaum.",
        "Wir müssen über die Brücke gehen, bevor es dunkel wird.",
        "Das Wetter war fabelhaft, aber das Wasser blieb kühl.",
        "Ich habe leider überhaupt keine Ahnung, was du meinst.",
        "Zwölf Boxkämpfer jagen eine Maus quer durch den Park.",
        "Könntest du bitte das Fenster zumachen?",
        "Am Bahnhof spielte eine Gruppe bis spät in die Nacht Musik.",
    ),
    "fr": (
        "Ma mère prépare une bonne soupe de poireaux pour nous.",
        "Le petit bateau bleu part à midi pour la belle plage.",
        "Tu veux boire un peu d'eau ou un jus de pomme ?",
        "Les voisins font beaucoup de bruit, surtout le vendredi.",
        "Où habite la femme qui vend les fleurs du marché ?",
        "Je voudrais bien savoir pourquoi le chat a peur du chien.",
        "Un homme joue du piano pendant que la pluie tombe.",
        "Papa, maman, venez vite voir la lune au-dessus du bois !",
        "Nous avons vu vingt vélos devant la vieille usine.",
        "Il faut fermer la porte avant de partir en vacances.",
        "Demain matin, on ira peut-être au musée ensemble.",
        "Bravo, vous avez vraiment bien parlé.",
    ),
    "es": (
        "Mi mamá compra pan, fruta y un poco de pimienta.",
        "El barco blanco baja por el río hasta el pueblo.",
        "¿Puedes abrir la ventana? Hace mucho calor aquí.",
        "La familia de Felipe vive muy cerca de la fábrica.",
        "Ayer vimos una película muy buena sobre el mar.",
        "Un burro bebe agua bajo el puente de madera.",
        "Todos los muchachos jugaban y cantaban en la plaza.",
        "Me gusta la música, pero no toco ningún instrumento.",
        "¿Por qué no vamos mañana a ver a tu abuela?",
        "El jefe firmó el papel sin leer ni una palabra.",
    ),
    "it": (
        "La mamma prepara una pizza buona per tutta la famiglia.",
        "Il bambino vuole bere un po' d'acqua fresca.",
        "Domani partiamo presto per il mare con la macchina nuova.",
        "Puoi aprire la finestra, per favore? Fa troppo caldo.",
        "Il vecchio ponte di pietra passa sopra il fiume.",
        "Abbiamo ballato e bevuto fino alle due di notte.",
        "Giovanni suona il piano molto meglio di me.",
        "Che cosa fai dopo la scuola, vieni con noi?",
        "Un uomo basso e buffo vende ombrelli vicino al duomo.",
    ),
    "pt": (
        "A minha mãe comprou um bolo bonito para a festa.",
        "O barco pequeno passa por baixo da ponte velha.",
        "Você pode abrir a porta, por favor? Está muito quente.",
        "Meu amigo fala pouco, mas pensa bem em tudo.",
        "Vamos ver o filme novo amanhã depois do almoço?",
        "A família vive numa fazenda longe da cidade.",
        "Ele bebeu um copo de água e foi embora sem falar.",
        "Um homem tocava viola enquanto o povo dançava.",
    ),
    "nl": (
        "Mijn moeder koopt brood, boter en een pond appels.",
        "De boot vaart morgenvroeg voorbij de oude brug.",
        "Wil je het raam even openmaken? Het is hier warm.",
        "Vijf vogels vlogen vrolijk over het veld.",
        "Opa bouwt een boomhut voor de buurkinderen.",
        "Waarom heb je gisteren niet even opgebeld?",
        "We moeten zeven uur wachten op de volgende boot.",
        "De muziek was mooi, maar wel een beetje hard.",
    ),
    "cmn-latn-pinyin": (
        "wo3 ma1 ma5 ming2 tian1 qu4 bei3 jing1.",
        "ni3 hao3, qing3 wen4 bai2 ping2 guo3 duo1 shao3 qian2?",
        "ba4 ba5 fei1 chang2 xi3 huan1 he1 cha2.",
        "peng2 you5 men5 dou1 mai3 le5 mian4 bao1.",
        "zhe4 ge4 fang2 jian1 mei2 you3 chuang1 hu5.",
        "wo3 men5 wan3 shang5 yi4 qi3 kan4 dian4 ying3 ba5.",
        "fu4 jin4 you3 yi4 jia1 hen3 bu2 cuo4 de5 mian4 guan3.",
        "ta1 bu4 ming2 bai5 ni3 de5 wen4 ti2.",
    ),
    "sv": (
        "Min mamma bakar bröd med blåbär på morgonen.",
        "Båten far förbi bron innan klockan fem.",
        "Kan du öppna fönstret? Det är mycket varmt här.",
        "Pappa köpte en ny bil och ett par blå byxor.",
        "Vi får väl se vad vännerna vill göra imorgon.",
        "Hur mår du, och vad heter din bror?",
        "Det var en mörk och vacker kväll vid vattnet.",
    ),
    "pl": (
        "Moja mama kupiła bułki, masło i pół kilo pomidorów.",
        "Mały biały pies biega po podwórku babci.",
        "Proszę otworzyć okno, bo tu jest bardzo ciepło.",
        "Wczoraj wieczorem oglądaliśmy bardzo dobry film.",
        "Dlaczego nie powiedziałeś, że przyjdziesz później?",
        "Pan Filip wypił filiżankę kawy i poszedł do pracy.",
        "W sobotę pojedziemy nad morze z przyjaciółmi.",
    ),
    "tr": (
        "Annem bugün pazardan peynir ve biber aldı.",
        "Babam sabah erkenden vapurla işe gidiyor.",
        "Pencereyi açabilir misin? Burası çok sıcak oldu.",
        "Yarın akşam bize yemeğe gelmek ister misiniz?",
        "Büyük mavi balon yavaş yavaş bulutlara doğru uçtu.",
        "Müzik çok güzeldi ama biraz fazla yüksekti.",
        "Köprünün altında beş küçük ördek yüzüyordu.",
    ),
    "cs": (
        "Moje maminka koupila chleba, máslo a pět jablek.",
        "Malý bílý pes běhá po zahradě u babičky.",
        "Prosím, otevřete okno, je tu velmi teplo.",
        "Včera večer jsme viděli moc hezký film.",
        "Proč jsi neřekl, že přijdeš později?",
        "Pan Novák vypil šálek kávy a odešel do práce.",
        "V sobotu pojedeme s přáteli k vodě.",
        "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    ),
    "fi": (
        "Äiti osti leipää, voita ja viisi omenaa.",
        "Pieni valkoinen koira juoksee mummon pihalla.",
        "Voisitko avata ikkunan? Täällä on hyvin kuuma.",
        "Eilen illalla katsoimme oikein hyvän elokuvan.",
        "Miksi et sanonut, että tulet myöhemmin?",
        "Isä pumppaa pallon, ja lapset pelaavat pihalla.",
        "Lauantaina me menemme ystävien kanssa järvelle.",
        "Hyvää huomenta, mitä sinulle kuuluu?",
    ),
    "ru": (
        "Моя мама купила хлеб, масло и пять яблок.",
        "Маленькая белая собака бегает по двору бабушки.",
        "Откройте, пожалуйста, окно, здесь очень жарко.",
        "Вчера вечером мы смотрели очень хороший фильм.",
        "Почему ты не сказал, что придёшь позже?",
        "Папа выпил чашку кофе и пошёл на работу.",
        "В субботу мы поедем с друзьями на море.",
        "Доброе утро, как вы поживаете?",
    ),
    "ca": (
        "La meva mare ha comprat pa, formatge i cinc pomes.",
        "El gos petit i blanc corre pel pati de l'àvia.",
        "Pots obrir la finestra, si us plau? Fa molta calor.",
        "Ahir al vespre vam veure una pel·lícula molt bona.",
        "Per què no vas dir que vindries més tard?",
        "El pare beu un cafè i se'n va a treballar.",
        "Dissabte anirem a la platja amb els amics.",
        "Bon dia, com et trobes avui?",
    ),
}


@dataclass(frozen=True)
class Spelling:
    """Parts of syllables in the spelling of a language, for invented words; each field is a list with spaces."""

    onsets: str
    nuclei: str
    codas: str = ""

    def syllable(self, rng: np.random.Generator) -> str:
        """A random syllable: onset, nucleus, and in 70 % of the cases a coda."""
        coda = str(rng.choice(self.codas.split())) if self.codas and rng.random() < 0.7 else ""
        return str(rng.choice(self.onsets.split())) + str(rng.choice(self.nuclei.split())) + coda


_ROMANCE = "b p m f v t d l r n s c g br pr tr fl bl pl gr "
SPELLINGS: dict[str, Spelling] = {
    "en": Spelling(
        "b p m f v t d k g s z l r n w y h sh ch j th br pr tr fl bl sp st pl gl sm sw",
        "a e i o u ee oo ai ow oa ar or er ou igh aw",
        "n m l r s t p f k b mp nd sh ng st ve",
    ),
    "de": Spelling(
        "b p m f w t d k g s l r n h sch z pf br pr tr fl bl sp st kr schw",
        "a e i o u ä ö ü ie au ei eu",
        "n m l r s t p f k ch nd mpf rm st",
    ),
    "fr": Spelling(_ROMANCE + "ch j", "a é i o u ou eu on an in oi au", "n m l r s t p f k"),
    "es": Spelling(_ROMANCE + "ch ll", "a e i o u ue ie ai", "n s l r"),
    "it": Spelling(_ROMANCE + "sc gi", "a e i o u uo ie ai", "n l r m"),
    "pt": Spelling(_ROMANCE + "ch j", "a e i o u ão ou ei", "m s l r"),
    "nl": Spelling(
        "b p m f v w t d k g s l r n h z br pr tr fl bl sp st kl",
        "a e i o u aa ee oo oe eu ui ij ie",
        "n m l r s t p f k mp cht",
    ),
    "cmn-latn-pinyin": Spelling(
        "b p m f t d l n g k h j q x zh ch sh r z c s w y", "a1 o2 e4 i3 u4 ai1 ao2 an3 ou4 ing1 ong2 ei4"
    ),
    "sv": Spelling("b p m f v t d k g s l r n h sj br pr tr fl bl", "a e i o u å ä ö y", "n m l r s t p f k"),
    "pl": Spelling("b p m f w t d k g s l r n h sz cz br pr tr ż", "a e i o u y ó ą", "n m l r s t p f k"),
    "cs": Spelling("b p m f v t d k g s l r n h š č c ž br pr tr", "a e i o u y á é í ů ou", "n m l r s t p k"),
    "fi": Spelling("p m v t k s l r n h j", "a e i o u y ä ö aa uu ai ei uo", "n l r s t"),
    "ru": Spelling("б п м ф в т д к г с л р н х ш ж ч бр пр", "а е и о у ы я ю", "н м л р с т п ф к"),
    "ca": Spelling(_ROMANCE + "x j ny", "a e i o u ai ou ei", "n s l r m"),
    "tr": Spelling("b p m f v t d k g s l r n h ş ç c y", "a e ı i o ö u ü", "n m l r s t p f k"),
}


def invented(language: str, rng: np.random.Generator) -> str:
    """A sentence of 4 to 9 invented words in the spelling of `language` (key of `SPELLINGS`)."""
    spelling = SPELLINGS[language]
    separator = " " if language.startswith("cmn") else ""
    words = []
    for _ in range(int(rng.integers(4, 10))):
        syllables = [spelling.syllable(rng) for _ in range(int(rng.integers(1, 4)))]
        words.append(separator.join(syllables) + ("," if rng.random() < 0.12 else ""))
    return " ".join(words).rstrip(",") + str(rng.choice((".", ".", ".", "?", "!")))


def random_text(language: str, rng: np.random.Generator) -> str:
    """A sentence in `language`: a natural one or an invented one, with equal probability."""
    if rng.random() < 0.5:
        return invented(language, rng)
    return str(rng.choice(SENTENCES[language]))
